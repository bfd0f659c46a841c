package policies_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestPoliciesInFrontOfOwnResponses: the policies of a route hold for what the proxy itself
// answers there as they do for what endpoints do.
func TestPoliciesInFrontOfOwnResponses(t *testing.T) {
	long := strings.Repeat("hello ", 500)
	answers := func(r *config.Route) { r.Answer = config.NewAnswer(); r.Answer.Body = long }
	redirects := func(r *config.Route) { r.Redirect = config.NewRedirect(); r.Redirect.Path = "/new" }
	compress := func(r *config.Route) {
		r.Compress = &config.Compress{Algorithms: []string{"gzip"}, MinBytes: 100, Types: []string{"text/*"}}
	}
	shop := func(r *config.Route) {
		r.CORS = &config.CORS{AllowOrigins: []string{page}, AllowMethods: []string{"PUT"}}
	}
	fails := func(r *config.Route) {
		r.Fault = &config.Fault{Abort: &config.FaultAbort{Status: 418, Percent: 100}}
	}
	small := func(r *config.Route) { r.Body = &config.Body{Max: "10"} }
	buffered := func(r *config.Route) { r.Body = &config.Body{Max: "10", Buffer: true} }
	changes := func(r *config.Route) {
		r.ResponseHeaders = &config.HeaderChanges{Set: map[string]string{"x-route": "r"}, Remove: []string{"content-type"}}
	}
	origin := "origin: " + page
	for _, tt := range []struct {
		name       string
		own        func(*config.Route)
		policy     func(*config.Route)
		method     string
		fields     []string
		content    string
		unknown    bool // its length is
		status     int
		flags      string
		wantFields map[string]string
	}{
		{name: "answer, compressed", own: answers, policy: compress, fields: []string{"accept-encoding: gzip"}, status: 200, wantFields: map[string]string{"Content-Encoding": "gzip", "Vary": "accept-encoding"}},
		{name: "answer, not compressed", own: answers, policy: compress, status: 200, wantFields: map[string]string{"Content-Encoding": "", "Vary": "accept-encoding"}},
		{name: "answer, read by a page", own: answers, policy: shop, fields: []string{origin}, status: 200, wantFields: map[string]string{"Access-Control-Allow-Origin": page}},
		{name: "redirect, read by a page", own: redirects, policy: shop, fields: []string{origin}, status: 301, wantFields: map[string]string{"Access-Control-Allow-Origin": page, "Location": "http://%s/new"}},
		{
			name: "preflight of a redirect", own: redirects, policy: shop, method: "OPTIONS", fields: []string{origin, "access-control-request-method: PUT"}, status: 200,
			wantFields: map[string]string{"Access-Control-Allow-Methods": "PUT", "Location": ""},
		},
		{name: "answer with changed fields", own: answers, policy: changes, status: 200, wantFields: map[string]string{"X-Route": "r", "Content-Type": ""}},
		{name: "redirect with changed fields", own: redirects, policy: changes, status: 301, wantFields: map[string]string{"X-Route": "r", "Location": "http://%s/new"}},
		{name: "answer, failed on purpose", own: answers, policy: fails, status: 418, flags: "FI"},
		{name: "redirect, failed on purpose", own: redirects, policy: fails, status: 418, flags: "FI", wantFields: map[string]string{"Location": ""}},
		{name: "answer to too much", own: answers, policy: small, method: "POST", content: "more than ten bytes", status: 413, flags: "DPE"},
		{name: "redirect of too much", own: redirects, policy: small, method: "POST", content: "more than ten bytes", status: 413, flags: "DPE", wantFields: map[string]string{"Location": ""}},
		{name: "redirect of too much, of unknown length", own: redirects, policy: buffered, method: "POST", content: "more than ten bytes", unknown: true, status: 413, flags: "DPE"},
		{name: "answer to enough", own: answers, policy: buffered, method: "POST", content: "ten bytes", status: 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
				p := proxytest.StartScript(t, up, 1, proxytest.Respond(200))
				x := p.Start(down, up, func(s *proxytest.Settings) {
					s.Route.Cluster = ""
					tt.own(&s.Route)
					tt.policy(&s.Route)
				})
				x.HTTP.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
				method := tt.method
				if method == "" {
					method = "GET"
				}
				var content io.Reader
				if content = strings.NewReader(tt.content); tt.unknown {
					content = unknown(tt.content)
				}
				o := x.Ask(method, content, tt.fields...)
				o.Want(t, tt.status, tt.flags, "")
				for name, want := range tt.wantFields {
					if got := o.Header.Get(name); got != want && !(strings.Contains(want, "%s") && strings.HasSuffix(got, want[strings.Index(want, "%s")+2:])) {
						t.Errorf("%s: %q, want %q", name, got, want)
					}
				}
			})
		})
	}
}
