package policies_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// TestFault: a route delays and fails requests, in every protocol, and the Hop says that it
// was on purpose.
func TestFault(t *testing.T) {
	const delay = 30 * time.Millisecond
	delayed := &config.Fault{Delay: &config.FaultDelay{Fixed: delay, Percent: 100}}
	failed := &config.Fault{Abort: &config.FaultAbort{Status: 418, Percent: 100}}
	both := &config.Fault{Delay: delayed.Delay, Abort: &config.FaultAbort{Status: 503, GRPCStatus: 8, Percent: 100}}
	heeds := &config.Fault{Headers: true}
	for _, tt := range []struct {
		name   string
		fault  *config.Fault
		fields []string
		grpc   string // grpc-status of the response
		status int
		flags  string
		tries  string
		change func(*proxytest.Settings)
	}{
		{name: "delay", fault: delayed, status: 200, flags: "DI", tries: "200"},
		{name: "abort", fault: failed, status: 418, flags: "FI"},
		{name: "both", fault: both, status: 503, flags: "DI,FI"},
		{name: "both, a call", fault: both, fields: call, status: 200, grpc: "8", flags: "DI,FI"},
		{name: "abort, a call", fault: &config.Fault{Abort: &config.FaultAbort{Status: 503, Percent: 100}}, fields: call, status: 200, grpc: "14", flags: "FI"},
		{name: "no share", fault: &config.Fault{Delay: &config.FaultDelay{Fixed: time.Hour}, Abort: &config.FaultAbort{Status: 503}}, status: 200, tries: "200"},
		{name: "the delay is not the route's time", fault: delayed, status: 200, flags: "DI", tries: "200", change: func(s *proxytest.Settings) { s.Route.Timeout = proxytest.Patience }},
		{name: "fields", fault: heeds, fields: []string{"x-envoy-fault-delay-request: 30", "x-envoy-fault-abort-request: 599"}, status: 599, flags: "DI,FI"},
		{name: "fields of a call", fault: heeds, fields: append(slices.Clip(call), "x-envoy-fault-abort-grpc-request: 5"), status: 200, grpc: "5", flags: "FI"},
		{
			name: "fields that ask for more than the route has", fields: []string{"x-envoy-fault-delay-request: 3600000", "x-envoy-fault-abort-request: 599"}, status: 200, tries: "200",
			fault: &config.Fault{Delay: &config.FaultDelay{Fixed: time.Hour}, Abort: &config.FaultAbort{Status: 503}, Headers: true},
		},
		{name: "fields that nobody heeds", fault: delayed, fields: []string{"x-envoy-fault-abort-request: 599"}, status: 200, flags: "DI", tries: "200"},
		{
			name: "fields of a stranger", fault: heeds, fields: []string{"x-envoy-fault-abort-request: 599"}, status: 200, tries: "200",
			change: func(s *proxytest.Settings) { s.Listener.TrustedCallers = nil },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
				act := proxytest.Respond(200)
				p := proxytest.StartScript(t, up, 1, act)
				x := p.Start(down, up, func(s *proxytest.Settings) {
					s.Route.Fault = tt.fault
					if tt.change != nil {
						tt.change(s)
					}
				})
				o := x.Ask("POST", strings.NewReader("hello"), tt.fields...)
				o.Want(t, tt.status, tt.flags, tt.tries)
				proxytest.Same(t, "grpc-status", o.Header.Get("grpc-status"), tt.grpc)
				if o.Hop.Flags&hop.DelayInjected != 0 && o.Hop.End < delay {
					t.Errorf("it took %s", o.Hop.End)
				}
				if o.Hop.Flags&hop.FaultInjected != 0 {
					proxytest.Same(t, "details", o.Hop.Details, "fault_filter_abort")
					proxytest.Same(t, "failure", o.Hop.Failure.Kind, "fault_injected")
					proxytest.Same(t, "route", o.Hop.Labels.Route, "default")
				}
			})
		})
	}
}

// TestDelayEndsWithTheClient: a request that is held back ends when its client goes away.
func TestDelayEndsWithTheClient(t *testing.T) {
	proxytest.NoLeaks(t)
	p := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200))
	x := p.Start(proxytest.H1C, proxytest.H1C, proxytest.AbortOnClose, func(s *proxytest.Settings) {
		s.Route.Fault = &config.Fault{Delay: &config.FaultDelay{Fixed: time.Hour, Percent: 100}}
	})
	client := x.Dial()
	trace, field := proxytest.NewTrace()
	client.Send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
	client.AwaitRead()
	client.Close()
	h := x.Hop(trace)
	proxytest.Same(t, "flags", h.Flags.String(), "DC,DI")
	proxytest.Same(t, "requests at the endpoint", len(p.Requests()), 0)
}

// TestFaultByReload: a reload gives a route faults and takes them away, on connections that
// stay open.
func TestFaultByReload(t *testing.T) {
	proxytest.NoLeaks(t)
	endpoint := proxytest.Serve(t, proxytest.Echo)
	with := func(f *config.Fault) *config.Config {
		return proxytest.NewConfig(t, endpoint, func(c *config.Config) { c.Listeners[0].Routes[0].Fault = f })
	}
	x := proxytest.StartConfig(t, with(nil))
	client := x.Dial()
	ask := func() int {
		client.Send(proxytest.RootRequest)
		response, _ := client.ReadResponse("GET")
		return response.StatusCode
	}
	for _, status := range []int{200, 500, 501, 200} {
		var f *config.Fault
		if status != 200 {
			f = &config.Fault{Abort: &config.FaultAbort{Status: status, Percent: 100}}
		}
		x.MustReload(with(f))
		proxytest.Same(t, "status", ask(), status)
	}
}
