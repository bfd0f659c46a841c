package policies_test

import (
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestEarlyData: requests that came in early data are answered with 425 where a route says
// so, in every protocol.
func TestEarlyData(t *testing.T) {
	early := []string{"early-data: 1"}
	for _, tt := range []struct {
		name, takes, method string
		fields              []string
		status              int
		grpc                string
	}{
		{name: "sent on by default", method: "POST", fields: early, status: 200},
		{name: "safe", takes: "safe", method: "GET", fields: early, status: 200},
		{name: "not safe", takes: "safe", method: "POST", fields: early, status: 425},
		{name: "malformed", takes: "safe", method: "DELETE", fields: []string{"early-data: yes"}, status: 425},
		{name: "none", takes: "none", method: "GET", fields: early, status: 425},
		{name: "no early data", takes: "none", method: "POST", status: 200},
		{name: "a call", takes: "safe", method: "POST", fields: append(early, call...), status: 200, grpc: "14"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
				p := proxytest.StartScript(t, up, 1, proxytest.Respond(200))
				x := p.Start(down, up, func(s *proxytest.Settings) {
					if tt.takes != "" {
						s.Route.EarlyData = &config.EarlyData{Allow: tt.takes}
					}
				})
				o := x.Ask(tt.method, nil, tt.fields...)
				refused := tt.status == 425 || tt.grpc != ""
				o.Want(t, tt.status, "", map[bool]string{false: "200"}[refused])
				proxytest.Same(t, "grpc-status", o.Header.Get("grpc-status"), tt.grpc)
				if refused {
					proxytest.Same(t, "details", o.Hop.Details, "too_early")
				} else if sent := p.Requests()[0].Header.Get("early-data"); tt.fields != nil && sent != "1" {
					t.Errorf("the endpoint is told %q", sent)
				}
			})
		})
	}
}

// TestTooEarlyIsNotRetried: only the client can send a request again outside of early data,
// so its 425 is passed on (RFC 8470 section 5.2).
func TestTooEarlyIsNotRetried(t *testing.T) {
	for field, tries := range map[string]string{"early-data: 1": "425", "x-a: 1": "425 425"} {
		p := proxytest.StartScript(t, proxytest.H1C, 2, proxytest.Respond(425))
		x := p.Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) {
			s.Route.Retry = proxytest.Retrying(2, "retriable-status-codes")
			s.Route.Retry.Statuses = []int{425}
		})
		o := x.Ask("GET", nil, field)
		proxytest.Same(t, "attempts with "+field, proxytest.Attempts(o.Hop), tries)
		proxytest.Same(t, "status", o.StatusCode, 425)
	}
}
