package forward

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/telemetry/active"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// margins are the default ones.
var margins = &Deadlines{Share: 0.05, Least: 10 * ms, Inherit: true}

func TestMargin(t *testing.T) {
	for _, tt := range []struct{ left, within time.Duration }{
		{15 * time.Second, 14250 * ms},
		{time.Second, 950 * ms},
		{200 * ms, 190 * ms},
		{100 * ms, 90 * ms}, // at least 10 ms
		{20 * ms, 10 * ms},
		{4 * ms, 2 * ms}, // and at most a half
		{0, 1},
		{-time.Second, 1}, // it is over
	} {
		if got := margins.within(tt.left); got != tt.within {
			t.Errorf("of %s a hop has %s, want %s", tt.left, got, tt.within)
		}
	}
	if got := (*Deadlines)(nil).within(time.Second); got != time.Second {
		t.Errorf("without margins it has %s", got)
	}
}

// TestDeadlinesGoDown: what a hop does with the time that it is told of, and what it tells
// the next, to the millisecond.
func TestDeadlinesGoDown(t *testing.T) {
	const expected, call = "x-envoy-expected-rq-timeout-ms: ", "grpc-timeout: "
	grpc := "content-type: application/grpc"
	blackHole := []behaviour{{silent: true}}
	for _, tt := range []struct {
		name     string
		script   []behaviour
		timeout  time.Duration
		retry    *Retry
		off      bool
		fields   []string
		pieces   []piece
		took     time.Duration
		told     string // of the last attempt
		toldCall string
		reason   string
	}{
		{name: "a root hands its route's on", timeout: time.Second, took: time.Second, told: "1000"},
		{name: "no timeout at all", script: []behaviour{{after: ms, status: 200}}, took: ms},
		{name: "what is left of the caller's time", timeout: time.Second, fields: []string{expected + "400"}, took: 380 * ms, told: "380",
			reason: "did not answer within 380ms, which is what the caller waits, less a margin"},
		{name: "the caller waits longer than the route", timeout: 300 * ms, fields: []string{expected + "400"}, took: 300 * ms, told: "300",
			reason: "did not answer within the route's timeout"},
		{name: "the caller's where the route has none", fields: []string{expected + "400"}, took: 380 * ms, told: "380"},
		{name: "0 is no time", timeout: 300 * ms, fields: []string{expected + "0"}, took: 300 * ms, told: "300"},
		{name: "nonsense", timeout: 300 * ms, fields: []string{expected + "soon"}, took: 300 * ms, told: "300"},
		{name: "off", off: true, timeout: 500 * ms, fields: []string{expected + "400"}, took: 500 * ms, told: "400"},
		{name: "the second attempt has what is left", script: []behaviour{{after: 100 * ms, status: 503}, {silent: true}}, timeout: time.Second,
			retry: &Retry{On: On5xx, Attempts: 2}, fields: []string{expected + "400"}, took: 380 * ms, told: "280"},
		{name: "an attempt's own time", timeout: time.Second, retry: &Retry{On: On5xx, Attempts: 1, PerTry: 200 * ms}, took: 200 * ms, told: "200"},
		{name: "an attempt's own time, where an answer would not be repeated", timeout: time.Second, retry: &Retry{On: OnReset, Attempts: 2, PerTry: 200 * ms}, took: 400 * ms, told: "800"},
		{name: "an attempt's own time, and nothing is repeated", timeout: time.Second, retry: &Retry{On: OnConnectFailure, Attempts: 2, PerTry: 200 * ms}, took: 200 * ms, told: "200"},
		{name: "a call's attempt, where an answer would not be repeated", timeout: time.Second, retry: &Retry{On: On5xx, Attempts: 1, PerTry: 200 * ms}, fields: []string{grpc}, took: 200 * ms, told: "1000", toldCall: "1000000u"},
		{name: "what is left is too little for another attempt", script: []behaviour{{after: 960 * ms, status: 504}}, timeout: time.Second, retry: &Retry{On: On5xx, Attempts: 3}, took: 960 * ms, told: "1000"},
		{name: "and what is left is not", script: []behaviour{{after: 900 * ms, status: 504}, {after: 10 * ms, status: 200}}, timeout: time.Second, retry: &Retry{On: On5xx, Attempts: 3}, took: 910 * ms, told: "100"},
		{name: "it runs from the end of the content", timeout: time.Second, fields: []string{expected + "400"},
			pieces: []piece{{200 * ms, "a"}, {300 * ms, "b"}}, took: 880 * ms, told: "380"},
		{name: "a response that has begun goes on", script: []behaviour{{after: 300 * ms, status: 200, content: 500 * ms}}, timeout: time.Second,
			fields: []string{expected + "400"}, took: 800 * ms, told: "380"},

		{name: "a call's own timeout", timeout: time.Second, fields: []string{grpc, call + "400m"}, took: 380 * ms, told: "380", toldCall: "380000u",
			reason: "the call was not over within its grpc-timeout of 400ms"},
		{name: "a call has the route's", timeout: time.Second, fields: []string{grpc}, took: time.Second, told: "1000", toldCall: "1000000u"},
		{name: "a call has the shorter of both", timeout: 300 * ms, fields: []string{grpc, call + "1S"}, took: 300 * ms, told: "300", toldCall: "300000u"},
		{name: "a call, and off", off: true, timeout: time.Second, fields: []string{grpc, call + "400m"}, took: 400 * ms, toldCall: "400000u"},
		{name: "a call without any, and off", off: true, timeout: 300 * ms, fields: []string{grpc}, took: 300 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				script := tt.script
				if script == nil {
					script = blackHole
				}
				b := newInBubble(t, script...)
				b.action.Timeout, b.target.Retry = tt.timeout, tt.retry
				if !tt.off {
					b.change = func(f *Forwarder) { f.Deadlines = margins }
				}
				c := &caller{pieces: tt.pieces}
				took := b.serve(c, tt.fields...)
				if took != tt.took {
					t.Errorf("it took %s, want %s", took, tt.took)
				}
				got := b.last()
				if told := got.Get("X-Envoy-Expected-Rq-Timeout-Ms"); told != tt.told {
					t.Errorf("the endpoint is told %q, want %q", told, tt.told)
				}
				if told := got.Get("Grpc-Timeout"); told != tt.toldCall {
					t.Errorf("the endpoint of a call is told %q, want %q", told, tt.toldCall)
				}
				if !strings.HasSuffix(c.hop.Failure.Reason, tt.reason) {
					t.Errorf("the reason is %q, want %q", c.hop.Failure.Reason, tt.reason)
				}
			})
		})
	}
}

// TestOutboundInherits: a call that a service makes has what the request to the service has
// left, as far as it is known which that is.
func TestOutboundInherits(t *testing.T) {
	const trace, other = "0af7651916cd43dd8448eb211c80319c", "1bf7651916cd43dd8448eb211c80319c"
	type inbound struct {
		trace    string
		timeout  time.Duration
		fields   []string
		answered bool // its response has begun
	}
	for _, tt := range []struct {
		name     string
		inbound  []inbound
		parent   int // the inbound hop whose attempt the call names, from 1; 0 is none
		inherits bool
		after    time.Duration // the call begins later
		took     time.Duration // of the call, whose route has a second
	}{
		{name: "what is left", inbound: []inbound{{trace: trace, timeout: 800 * ms}}, inherits: true, after: 200 * ms, took: 570 * ms},
		{name: "by its parent", inbound: []inbound{{trace: trace, timeout: 600 * ms}, {trace: trace, timeout: 800 * ms}}, parent: 1, inherits: true, took: 570 * ms},
		{name: "the longest of several", inbound: []inbound{{trace: trace, timeout: 600 * ms}, {trace: trace, timeout: 800 * ms}}, inherits: true, took: 760 * ms},
		{name: "the longest is no limit", inbound: []inbound{{trace: trace, timeout: 600 * ms}, {trace: trace}}, inherits: true, took: time.Second},
		{name: "what its caller waits", inbound: []inbound{{trace: trace, timeout: 900 * ms, fields: []string{"x-envoy-expected-rq-timeout-ms: 400"}}}, inherits: true, took: 361 * ms},
		{name: "of a response that has begun, all", inbound: []inbound{{trace: trace, timeout: 900 * ms, fields: []string{"x-envoy-expected-rq-timeout-ms: 400"}, answered: true}}, inherits: true, took: 855 * ms},
		{name: "longer than its own", inbound: []inbound{{trace: trace, timeout: 5 * time.Second}}, inherits: true, took: time.Second},
		{name: "another trace", inbound: []inbound{{trace: other, timeout: 300 * ms}}, inherits: true, took: time.Second},
		{name: "it has ended", inbound: []inbound{{trace: trace, timeout: 200 * ms}}, inherits: true, after: 300 * ms, took: time.Second},
		{name: "off", inbound: []inbound{{trace: trace, timeout: 800 * ms}}, took: time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				table := new(active.Table)
				var requests sync.WaitGroup
				own := *margins
				own.Inherit = tt.inherits
				change := func(f *Forwarder) { f.Deadlines, f.UnderWay = &own, table }
				parent := "00f067aa0ba902b7"
				for i, in := range tt.inbound {
					does := behaviour{silent: true}
					if in.answered {
						does = behaviour{status: 200, content: 10 * time.Second}
					}
					b := newInBubble(t, does)
					b.action.Timeout, b.change = in.timeout, change
					requests.Go(func() {
						b.serve(&caller{leaves: time.Now().Add(2 * time.Second)}, append([]string{"traceparent: 00-" + in.trace + "-00f067aa0ba902b7-01"}, in.fields...)...)
					})
					synctest.Wait()
					if i+1 == tt.parent {
						parent = b.last().Get("Traceparent")[36:52]
					}
				}
				time.Sleep(tt.after)
				b := newInBubble(t, behaviour{silent: true})
				labels := *b.target.Labels
				labels.Direction = hop.Outbound
				b.target.Labels, b.action.Timeout, b.change = &labels, time.Second, change
				if took := b.serve(new(caller), "traceparent: 00-"+trace+"-"+parent+"-01"); took != tt.took {
					t.Errorf("it took %s, want %s", took, tt.took)
				}
				requests.Wait()
				time.Sleep(11 * time.Second) // and so do the endpoints
				if left := table.Longest(9); len(left) > 0 {
					t.Errorf("%d hops are still under way", len(left))
				}
			})
		})
	}
}

// last is the head of the last request that an endpoint got.
func (b *inBubble) last() http.Header {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got
}

// TestResetWhenTimeIsUp: an endpoint that was told how long a call may take, and resets its
// stream when that is over, has not answered in time. Before that, a reset is a reset.
func TestResetWhenTimeIsUp(t *testing.T) {
	for _, tt := range []struct {
		name   string
		call   bool
		limits limits
		kind   fault.Kind
		want   string
	}{
		{"the route's timeout", true, limits{until: ms}, fault.UpstreamReset, "b:1 did not answer within the route's timeout"},
		{"the caller's", true, limits{until: time.Hour, expires: ms, called: 11 * ms}, fault.UpstreamReset, "the call was not over within its grpc-timeout of 11ms"},
		{"there is time left", true, limits{until: time.Hour, expires: time.Hour}, fault.UpstreamReset, "reset"},
		{"no timeout", true, limits{}, fault.UpstreamReset, "reset"},
		{"no call", false, limits{until: ms}, fault.UpstreamReset, "reset"},
		{"another failure", true, limits{until: ms}, fault.UpstreamProtocol, "reset"},
	} {
		x := &filter.Exchange{Hop: &hop.Hop{Start: time.Now().Add(-time.Second), GRPC: tt.call}}
		x.Hop.Attempt().Endpoint = "b:1"
		d := &delivery{f: &Forwarder{Options: Options{Deadlines: margins}}, x: x, limits: tt.limits}
		if err := d.late(fault.New(tt.kind, "reset")); err.Error() != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, err, tt.want)
		}
	}
}
