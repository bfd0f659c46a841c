package policies_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// usersFile has ann, whose password is "secret".
func usersFile(t testing.TB) string {
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte("ann:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func password(credentials string) string {
	return "authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
}

// TestBasicAuth: a route that asks for passwords lets its users in, and nobody else, in every
// protocol.
func TestBasicAuth(t *testing.T) {
	asks := func(r *config.Route) { r.BasicAuth.Realm = "the shop" }
	hides := func(r *config.Route) { r.BasicAuth.Forward, r.BasicAuth.UsernameHeader = false, "X-User" }
	shop := func(r *config.Route) {
		r.CORS = &config.CORS{AllowOrigins: []string{page}, AllowMethods: []string{"PUT"}, AllowHeaders: []string{"authorization"}}
	}
	redirects := func(r *config.Route) { r.Cluster, r.Redirect = "", config.NewRedirect(); r.Redirect.Path = "/new" }
	small := func(r *config.Route) { r.Body = &config.Body{Max: "3"} }
	right, wrong := password("ann:secret"), password("ann:Secret")
	for _, tt := range []struct {
		name, method, content string
		change                func(*config.Route)
		fields                []string
		status                int
		details, grpc         string
		wantFields            map[string]string // of the response
		sent                  map[string]string // to the endpoint
	}{
		{name: "no password", change: asks, status: 401, details: "no_credential_for_basic_auth", wantFields: map[string]string{"WWW-Authenticate": `Basic realm="the shop"`}},
		{name: "the default realm", change: hides, status: 401, details: "no_credential_for_basic_auth", wantFields: map[string]string{"WWW-Authenticate": `Basic realm="restricted"`}},
		{name: "a wrong one", change: asks, fields: []string{wrong}, status: 401, details: "invalid_credential_for_basic_auth", wantFields: map[string]string{"WWW-Authenticate": `Basic realm="the shop"`}},
		{name: "the right one", change: asks, fields: []string{right}, status: 200, wantFields: map[string]string{"WWW-Authenticate": ""}, sent: map[string]string{"Authorization": strings.TrimPrefix(right, "authorization: "), "X-User": ""}},
		{name: "the user alone is sent on", change: hides, fields: []string{right, "x-user: root"}, status: 200, sent: map[string]string{"Authorization": "", "X-User": "ann"}},
		{name: "with content", change: hides, method: "POST", content: "hello", fields: []string{right}, status: 200, sent: map[string]string{"X-User": "ann"}},
		{name: "content of nobody", change: small, method: "POST", content: "hello", status: 401, details: "no_credential_for_basic_auth"},
		{name: "too much content", change: small, method: "POST", content: "hello", fields: []string{right}, status: 413, details: "request_payload_too_large"},
		{name: "a redirect of nobody", change: redirects, status: 401, details: "no_credential_for_basic_auth", wantFields: map[string]string{"Location": ""}},
		{
			name: "a page is told why", change: shop, fields: []string{"origin: " + page, wrong}, status: 401, details: "invalid_credential_for_basic_auth",
			wantFields: map[string]string{"Access-Control-Allow-Origin": page},
		},
		{name: "a preflight has no password", change: shop, method: "OPTIONS", fields: []string{"origin: " + page, "access-control-request-method: PUT"}, status: 200, wantFields: map[string]string{"Access-Control-Allow-Methods": "PUT"}},
		{name: "a call", change: asks, method: "POST", fields: append([]string{wrong}, call...), status: 200, details: "invalid_credential_for_basic_auth", grpc: "16"},
		{name: "a call with the right one", change: asks, method: "POST", fields: append([]string{right}, call...), status: 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := usersFile(t)
			proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
				p := proxytest.StartScript(t, up, 1, proxytest.Respond(200))
				x := p.Start(down, up, func(s *proxytest.Settings) {
					s.Route.BasicAuth = config.NewBasicAuth(file)
					tt.change(&s.Route)
				})
				method := map[bool]string{true: "GET", false: tt.method}[tt.method == ""]
				for range 2 { // the second time the password is remembered
					o := x.Ask(method, strings.NewReader(tt.content), tt.fields...)
					proxytest.Same(t, "status", o.StatusCode, tt.status)
					proxytest.Same(t, "grpc-status", o.Header.Get("grpc-status"), tt.grpc)
					if tt.details != "" {
						proxytest.Same(t, "details", o.Hop.Details, tt.details)
						proxytest.Same(t, "attempts", proxytest.Attempts(o.Hop), "")
					}
					for name, want := range tt.wantFields {
						proxytest.Same(t, name, o.Header.Get(name), want)
					}
				}
				if tt.details != "" && len(p.Requests()) > 0 {
					t.Errorf("the endpoint got %d requests", len(p.Requests()))
				}
				for name, want := range tt.sent {
					for _, got := range p.Requests() {
						proxytest.Same(t, name+" as the endpoint gets it", strings.Join(got.Header.Values(name), ", "), want)
					}
				}
			})
		})
	}
}
