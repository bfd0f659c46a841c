package policies_test

import (
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// sure refuses nearly all requests once some have failed. Which of them is up to chance.
func sure(s *proxytest.Settings) {
	s.Route.AdmissionControl = config.NewAdmissionControl()
	s.Route.AdmissionControl.MaxRejectionPercent = 100
	s.Route.AdmissionControl.Aggression = 100 // so that one failure is nearly enough
	s.Cluster.Retry = nil
}

// TestAdmissionControl: a route whose requests fail is spared most of them, in every
// protocol.
func TestAdmissionControl(t *testing.T) {
	for _, tt := range []struct {
		name         string
		act          proxytest.Act
		fields       []string
		status, shed int
		grpc         string
		pushback     string
	}{
		{name: "errors", act: proxytest.Respond(500), status: 500, shed: 503},
		{name: "broken off", act: proxytest.Abort, status: 503, shed: 503},
		{name: "calls", act: proxytest.Respond(200, "content-type: application/grpc", "grpc-status: 14"), fields: call, status: 200, shed: 200, grpc: "14", pushback: "1000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
				p := proxytest.StartScript(t, up, 1, tt.act)
				x := p.Start(down, up, sure)
				var o proxytest.Outcome
				for n := 0; ; n++ {
					if o = x.Ask("POST", nil, tt.fields...); o.Hop.Flags&hop.UpstreamOverflow != 0 {
						break
					}
					if o.StatusCode != tt.status || n == 1000 {
						t.Fatalf("request %d: status %d", n, o.StatusCode)
					}
				}
				o.Want(t, tt.shed, "UO", "")
				proxytest.Same(t, "retry-after", o.Header.Get("retry-after"), "1")
				proxytest.Same(t, "grpc-status", o.Header.Get("grpc-status"), tt.grpc)
				proxytest.Same(t, "grpc-retry-pushback-ms", o.Header.Get("grpc-retry-pushback-ms"), tt.pushback)
				proxytest.Same(t, "details", o.Hop.Details, "denied_by_admission_control")
				proxytest.Same(t, "failure", o.Hop.Failure.Kind, "admission_denied")
				proxytest.Reason(t, "reason", o.Hop.Failure.Reason, "of route default 0.0 % went well")
				m := x.Scrape()
				proxytest.Same(t, "shed", m.Sum("hopscope_route_shed_total", "limit", "admission"), 1)
				proxytest.Same(t, "share that failed", m.Sum("hopscope_admission_failure_ratio", "route", "default"), 1)
				proxytest.Same(t, "some are to be refused", m.Sum("hopscope_admission_rejection_ratio") > 0.5, true)
			})
		})
	}
}

// TestAdmissionControlLetsThrough: what a route calls a success is never a reason to refuse.
func TestAdmissionControlLetsThrough(t *testing.T) {
	p := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(500))
	x := p.Start(proxytest.H1C, proxytest.H1C, sure, func(s *proxytest.Settings) {
		s.Route.AdmissionControl.SuccessStatuses = []string{"200", "500"}
	})
	for range 50 {
		proxytest.Same(t, "status", ask(x), 500)
	}
	x.Settled()
	proxytest.Same(t, "shed", x.Scrape().Sum("hopscope_route_shed_total"), 0)
}
