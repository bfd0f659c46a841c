package convert_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/convert"
)

// envoyWith is a bootstrap with one filter and one route.
func envoyWith(filter, route string) []byte {
	return fmt.Appendf(nil, `static_resources:
  listeners:
  - name: web
    address: {socket_address: {address: 127.0.0.1, port_value: 80}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          use_remote_address: true
          http_filters:
          - %s
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{match: {prefix: /}, %s}]
  clusters:
  - name: a
    load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 3001}}}}]}]}
`, filter, route)
}

// A filter may be off in its list and on for a route, and the other way round.
func TestEnvoyFilterSwitches(t *testing.T) {
	const (
		kind   = "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer"
		filter = `{name: b, typed_config: {"@type": ` + kind + `, max_request_bytes: 1024}}`
		off    = `{name: b, disabled: true, typed_config: {"@type": ` + kind + `, max_request_bytes: 1024}}`
		route  = `route: {cluster: a}`
		own    = `"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, `
	)
	for _, tt := range []struct {
		name, filter, route string
		max                 string // of body; empty if there is none
	}{
		{"on", filter, route, "1024"},
		{"off", off, route, ""},
		{"off for the route", filter, route + `, typed_per_filter_config: {b: {` + own + `disabled: true}}`, ""},
		{"off for the route, in the old way", filter, route + `, typed_per_filter_config: {b: {"@type": ` + kind + `PerRoute, disabled: true}}`, ""},
		{"on for the route", off, route + `, typed_per_filter_config: {b: {` + own + `config: {}}}`, "1024"},
		{"on for the route, with its own settings", off, route + `, typed_per_filter_config: {b: {` + own + `config: {"@type": ` + kind + `PerRoute, buffer: {max_request_bytes: 99}}}}`, "99"},
		{"own settings", filter, route + `, typed_per_filter_config: {b: {"@type": ` + kind + `PerRoute, buffer: {max_request_bytes: 99}}}`, "99"},
		{"another filter's settings", filter, route + `, typed_per_filter_config: {c: {` + own + `disabled: true}}`, "1024"},
		{"no request is sent on", filter, `direct_response: {status: 200}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := convert.Envoy("envoy.yaml", envoyWith(tt.filter, tt.route))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if b := r.Config.Listeners[0].Routes[0].Body; b != nil {
				got = b.Max
			}
			if got != tt.max {
				t.Errorf("body.max is %q, want %q", got, tt.max)
			}
			for _, n := range r.Notes {
				if !strings.Contains(n.What, ".c") {
					t.Error(n)
				}
			}
		})
	}
}

// Filters that keep requests out, and that hopscope does not have, are told as such.
func TestEnvoyOpenRoutes(t *testing.T) {
	for _, kind := range []string{"jwt_authn.v3.JwtAuthentication", "ext_authz.v3.ExtAuthz", "rbac.v3.RBAC", "api_key_auth.v3.ApiKeyAuth", "oauth2.v3.OAuth2"} {
		r, err := convert.Envoy("envoy.yaml", envoyWith(`{name: f, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.`+kind+`}}`, "route: {cluster: a}"))
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Notes) != 1 || r.Notes[0].Differs || !strings.Contains(r.Notes[0].Why, "open to") {
			t.Errorf("%s: notes %v, want one that says that the routes are open", kind, r.Notes)
		}
	}
}
