package convert_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/convert"
)

// Limits that are off stay off, and what differs is told.
func TestEnvoyLimits(t *testing.T) {
	const (
		router    = `{name: envoy.filters.http.router}`
		plain     = `route: {cluster: a}`
		of        = `"@type": type.googleapis.com/envoy.extensions.filters.http.`
		off       = `{default_value: false, runtime_key: x}`
		bandwidth = `{name: f, typed_config: {` + of + `bandwidth_limit.v3.BandwidthLimit, stat_prefix: s, `
		adaptive  = `{name: f, typed_config: {` + of + `adaptive_concurrency.v3.AdaptiveConcurrency, gradient_controller_config: {concurrency_limit_params: {concurrency_update_interval: 0.1s`
		unzip     = `{name: f, typed_config: {` + of + `decompressor.v3.Decompressor, decompressor_library: {name: g, typed_config: {"@type": type.googleapis.com/envoy.extensions.compression.gzip.decompressor.v3.Gzip}}`
	)
	for _, tt := range []struct {
		name, filter, route string
		want                string // in the configuration of the route
		note                string // in a note; empty if there is none
	}{
		{"bandwidth of responses", bandwidth + `enable_mode: RESPONSE, limit_kbps: 8}}`, plain, `bandwidth: {response: "8KiB"}`, "each route has the whole bandwidth"},
		{"bandwidth of requests", bandwidth + `enable_mode: REQUEST, limit_kbps: 8}}`, plain, `bandwidth: {request: "8KiB"}`, "each route has the whole bandwidth"},
		{"bandwidth without a mode", bandwidth + `limit_kbps: 8}}`, plain, "", ""},
		{"bandwidth that is off", bandwidth + `enable_mode: RESPONSE, limit_kbps: 8, runtime_enabled: ` + off + `}}`, plain, "", ""},
		{"admission that is off", `{name: f, typed_config: {` + of + `admission_control.v3.AdmissionControl, enabled: ` + off + `}}`, plain, "", ""},
		{"admission", `{name: f, typed_config: {` + of + `admission_control.v3.AdmissionControl, success_criteria: {}}}`, plain, `admission_control: {}`, "each route counts"},
		{"adaptive that is off", adaptive + `}}, enabled: ` + off + `}}`, plain, "", ""},
		{"adaptive with a fixed time", adaptive + `}, min_rtt_calc_params: {fixed_value: 0.05s, min_concurrency: 5}}}}`, plain, `adaptive_concurrency: {min_concurrency: 5, min_rtt: {fixed: 50ms}}`, "each route counts"},
		{"adaptive with 429", adaptive + `}}, concurrency_limit_exceeded_status: {code: 429}}}`, plain, `adaptive_concurrency: {}, shed: {status: 429}`, "each route counts"},
		{"adaptive with 500", adaptive + `}}, concurrency_limit_exceeded_status: {code: 500}}}`, plain, `adaptive_concurrency: {}`, "503 or 429"},
		{"adaptive with another least limit", adaptive + `, min_concurrency_limit: 9}}}}`, plain, `adaptive_concurrency: {}`, "hopscope has no such setting"},
		{"decompression of responses, too", unzip + `}}`, plain, `decompress: {algorithms: [gzip]}`, "hopscope decompresses requests, not responses"},
		{"decompression of responses", unzip + `, request_direction_config: {common_config: {enabled: ` + off + `}}}}`, plain, "", "hopscope decompresses requests, not responses"},
		{"a time for the stream in place of the timeout", router, `route: {cluster: a, timeout: 1s, max_stream_duration: {max_stream_duration: 20s}}`, `timeout: 20s`, "counts from the end of the request"},
		{"no time for the stream in place of the timeout", router, `route: {cluster: a, timeout: 1s, max_stream_duration: {grpc_timeout_header_max: 0s}}`, `timeout: 0s`, ""},
		{"a time that calls ask for", router, `route: {cluster: a, timeout: 0s, max_stream_duration: {grpc_timeout_header_max: 9s}}`, `timeout: 0s`, "the time that it asks for"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := convert.Envoy("envoy.yaml", envoyWith(tt.filter, tt.route))
			if err != nil {
				t.Fatal(err)
			}
			want := "listeners: [{name: web, address: 127.0.0.1:80, grpc_web: false, path: {normalize: false, merge_slashes: false, escaped_slashes: keep}, routes: [{match: {path_prefix: /}, cluster: a, upgrades: [none]"
			if tt.want != "" {
				want += ", " + tt.want
			}
			c, err := config.Parse("want.yaml", []byte(want+"}]}]\nclusters: {a: {endpoints: [127.0.0.1:3001], protocol: http1}}\n"))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := string(r.Config.BriefYAML()), string(c.BriefYAML()); got != want {
				t.Errorf("%s\nwant\n%s", got, want)
			}
			told := slices.ContainsFunc(r.Notes, func(n convert.Note) bool { return strings.Contains(n.Why, tt.note) })
			if tt.note == "" && len(r.Notes) > 0 || tt.note != "" && !told {
				t.Errorf("notes %v, want one with %q", r.Notes, tt.note)
			}
		})
	}
}
