package convert_test

import (
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/convert"
)

// Requests that become calls have a route of their own where it is clear which one it is,
// and no more is translated than Envoy translates.
func TestEnvoyTranscodeRoutes(t *testing.T) {
	const (
		kind   = `"@type": type.googleapis.com/envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder`
		filter = `{name: t, typed_config: {` + kind + `, proto_descriptor: shop.pb, services: [shop.Cart, shop.Stock]}}`
	)
	for _, tt := range []struct {
		name, filter, routes string
		translates           string // for each route whether it does, and with "!" for the one behind the others
	}{
		{"a route for calls", filter, `{match: {prefix: /shop.Cart/}, route: {cluster: a}}`, "yes yes!"},
		{"a route for all calls", filter, `{match: {prefix: /, grpc: {}}, route: {cluster: a}}`, "yes yes!"},
		{"a route for everything", filter, `{match: {prefix: /}, route: {cluster: a}}`, "yes"},
		{"everything behind the calls", filter, `{match: {prefix: /shop.Cart}, route: {cluster: a}}, {match: {prefix: /}, route: {cluster: b}}`, "yes no"},
		{"two services", filter, `{match: {prefix: /shop.Cart/}, route: {cluster: a}}, {match: {prefix: /shop.Stock/}, route: {cluster: a}}`, "yes yes"},
		{"another service", filter, `{match: {prefix: /other.Service/}, route: {cluster: a}}`, "yes"},
		{"HTTP/1.1", filter, `{match: {prefix: /shop.Cart}, route: {cluster: b}}`, "no"},
		{"no service", `{name: t, typed_config: {` + kind + `, proto_descriptor: shop.pb}}`, `{match: {prefix: /shop.Cart}, route: {cluster: a}}`, "no"},
		{"by the request", `{name: t, typed_config: {` + kind + `, proto_descriptor: shop.pb, services: [shop.Cart], match_incoming_request_route: true}}`, `{match: {prefix: /shop.Cart}, route: {cluster: a}}`, "yes"},
		{"off for the route", filter, `{match: {prefix: /shop.Cart}, route: {cluster: a}, typed_per_filter_config: {t: {` + kind + `PerRoute, disabled: true}}}`, "no"},
		{"on for the route alone", `{name: t, typed_config: {` + kind + `, proto_descriptor: shop.pb}}`,
			`{match: {prefix: /v1/}, route: {cluster: a}, typed_per_filter_config: {t: {` + kind + `, proto_descriptor: shop.pb, services: [shop.Cart], match_incoming_request_route: true}}}`, "yes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(string(envoyWith(tt.filter, "ROUTES")), "{match: {prefix: /}, ROUTES}", tt.routes, 1)
			text = strings.Replace(text, "- name: a\n", "- name: b\n    load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 3002}}}}]}]}\n  - name: a\n    http2_protocol_options: {}\n", 1)
			r, err := convert.Envoy("envoy.yaml", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, route := range r.Config.Listeners[0].Routes {
				switch x := route.Transcode; {
				case x == nil:
					got = append(got, "no")
				case x.RejectUnknownMethods && route.Match.Not != nil && route.Match.Not.GRPC != nil:
					got = append(got, "yes!")
				default:
					got = append(got, "yes")
				}
			}
			if got := strings.Join(got, " "); got != tt.translates {
				t.Errorf("%s, want %s\n%s", got, tt.translates, r.YAML)
			}
			if !r.Complete() {
				t.Error(r.Notes)
			}
		})
	}
}
