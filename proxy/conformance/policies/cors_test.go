package policies_test

import (
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

const page = "https://shop.test"

func shopOnly(s *proxytest.Settings) {
	s.Route.CORS = &config.CORS{AllowOrigins: []string{page}, AllowMethods: []string{"PUT"}, AllowCredentials: true, ExposeHeaders: []string{"grpc-status"}}
}

// TestCORS: the proxy answers preflights, and responses say which pages may read them,
// whoever made them, in every protocol.
func TestCORS(t *testing.T) {
	preflight := func(origin string) []string {
		return []string{"origin: " + origin, "access-control-request-method: PUT", "access-control-request-headers: x-a"}
	}
	for _, tt := range []struct {
		name    string
		method  string
		fields  []string
		act     proxytest.Act
		change  func(*proxytest.Settings)
		status  int
		allows  string // access-control-allow-origin
		methods string // access-control-allow-methods
		tries   string
		flags   string
	}{
		{name: "preflight", method: "OPTIONS", fields: preflight(page), status: 200, allows: page, methods: "PUT"},
		{name: "preflight of a stranger", method: "OPTIONS", fields: preflight("https://evil.test"), status: 200},
		{
			name: "preflight by its method", method: "OPTIONS", fields: preflight(page), status: 200, allows: page, methods: "PUT",
			change: func(s *proxytest.Settings) { s.Route.Match.Methods = []string{"PUT"} },
		},
		{
			name: "preflight of another method", method: "OPTIONS", fields: preflight(page), status: 404, flags: "NR",
			change: func(s *proxytest.Settings) { s.Route.Match.Methods = []string{"POST"} },
		},
		{name: "response", method: "GET", fields: []string{"origin: " + page}, status: 200, allows: page, tries: "200"},
		{name: "response to a stranger", method: "GET", fields: []string{"origin: https://evil.test"}, status: 200, tries: "200"},
		{name: "response to nobody else", method: "GET", status: 200, tries: "200", allows: "*"},
		{name: "call", method: "POST", fields: append([]string{"origin: " + page}, call...), status: 200, allows: page, tries: "200", act: proxytest.Respond(200, "content-type: application/grpc", "grpc-status: 0")},
		{
			name: "the proxy's own error", method: "GET", fields: []string{"origin: " + page}, status: 503, allows: page, flags: "FI",
			change: func(s *proxytest.Settings) {
				s.Route.Fault = &config.Fault{Abort: &config.FaultAbort{Status: 503, Percent: 100}}
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
				act := tt.act
				if act == nil {
					act = proxytest.Respond(200, "access-control-allow-origin: *")
				}
				p := proxytest.StartScript(t, up, 1, act)
				x := p.Start(down, up, func(s *proxytest.Settings) {
					shopOnly(s)
					if tt.change != nil {
						tt.change(s)
					}
				})
				o := x.Ask(tt.method, nil, tt.fields...)
				o.Want(t, tt.status, tt.flags, tt.tries)
				proxytest.Same(t, "access-control-allow-origin", o.Header.Get("access-control-allow-origin"), tt.allows)
				proxytest.Same(t, "access-control-allow-methods", o.Header.Get("access-control-allow-methods"), tt.methods)
				if tt.flags != "NR" {
					proxytest.Same(t, "vary", o.Header.Get("vary"), map[bool]string{false: "origin", true: "accept"}[tt.flags == "FI"])
				}
				if tt.method == "OPTIONS" && tt.status == 200 {
					proxytest.Same(t, "details", o.Hop.Details, "cors_response")
					proxytest.Same(t, "content", o.Body, "")
				}
			})
		})
	}
}

// TestCORSOfWebCalls: pages make gRPC-Web calls to another origin, whose preflight is
// answered, and whose response they may read.
func TestCORSOfWebCalls(t *testing.T) {
	p := proxytest.StartScript(t, proxytest.H2C, 1, proxytest.Respond(200, "content-type: application/grpc", "grpc-status: 0"))
	x := p.Start(proxytest.H1C, proxytest.H2C, shopOnly)
	o := x.Ask("POST", nil, "origin: "+page, "content-type: application/grpc-web-text+proto")
	o.Want(t, 200, "", "200")
	proxytest.Same(t, "content-type", o.Header.Get("content-type"), "application/grpc-web-text+proto")
	proxytest.Same(t, "access-control-allow-origin", o.Header.Get("access-control-allow-origin"), page)
	proxytest.Same(t, "access-control-expose-headers", o.Header.Get("access-control-expose-headers"), "grpc-status")
}
