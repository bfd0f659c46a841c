package forward

import (
	"testing"
	"testing/synctest"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// TestTargets: each target has its share of the requests.
func TestTargets(t *testing.T) {
	for _, tt := range []struct {
		weights, want []int // want is of 100 numbers
	}{
		{[]int{0}, []int{100}},
		{[]int{90, 10}, []int{90, 10}},
		{[]int{1, 0, 3}, []int{25, 0, 75}},
		{[]int{0, 0}, []int{50, 50}},
	} {
		a := &Forward{}
		for _, w := range tt.weights {
			a.Targets = append(a.Targets, Target{Weight: uint32(w)})
		}
		got := make([]int, len(a.Targets))
		for random := range uint64(100) {
			chosen := a.target(random)
			for i := range a.Targets {
				if chosen == &a.Targets[i] {
					got[i]++
				}
			}
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("weights %d: %d, want %d", tt.weights, got, tt.want)
			}
		}
	}
}

// TestRoutes: what filters and actions do with a request, and what is recorded of it.
func TestRoutes(t *testing.T) {
	refuse := func(filter.Handler) filter.Handler {
		return func(*filter.Exchange) error {
			return &fault.Answer{
				Why: fault.New(fault.Forbidden, "no"), Status: 429, Details: "too_many",
				Fields: []fault.Field{{Name: "retry-after", Value: "1"}},
			}
		}
	}
	labels := func(route string) *hop.Labels { return &hop.Labels{Service: "web", Route: route} }
	redirect := &Answer{Status: 301, Fields: []fault.Field{{Name: "location", Value: "/new"}}}
	for _, tt := range []struct {
		name       string
		change     func(*Forwarder)
		fields     []string
		status     int
		route      string
		details    string
		field      string // of the response
		grpcStatus int
		origin     hop.Origin
	}{
		{name: "a route's filter refuses", change: func(f *Forwarder) { f.Routes[0].Handler = filter.Chain(filter.Act, refuse) },
			status: 429, route: "default", details: "too_many", field: "retry-after: 1", origin: hop.OriginProxy},
		{name: "a call is refused", change: func(f *Forwarder) { f.Routes[0].Handler = filter.Chain(filter.Act, refuse) },
			fields: []string{"content-type: application/grpc"}, status: 200, route: "default", details: "too_many", field: "retry-after: 1", grpcStatus: 7, origin: hop.OriginProxy},
		{name: "an answer that is no failure", change: func(f *Forwarder) { f.Routes[0] = Route{Labels: labels("old"), Action: redirect} },
			status: 301, route: "old", details: "direct_response", field: "location: /new"},
		{name: "a route that is closed", change: func(f *Forwarder) {
			f.Routes[0] = Route{Labels: labels("closed"), Action: &Answer{Why: fault.New(fault.Forbidden, "closed")}}
		}, status: 403, route: "closed", details: "forward_proxy_denied", field: "content-type: text/plain; charset=utf-8", origin: hop.OriginProxy},
		{name: "a request without a route", change: func(f *Forwarder) {
			f.Table = nothing
			f.unmatched = filter.Chain(f.miss, refuse)
		}, status: 429, details: "too_many", field: "retry-after: 1", origin: hop.OriginProxy},
		{name: "another route", change: func(f *Forwarder) {
			first := f.Routes[0]
			first.Handler = filter.Chain(filter.Act, func(next filter.Handler) filter.Handler {
				return func(x *filter.Exchange) error {
					f.Routes[0] = Route{Labels: labels("second"), Action: redirect}
					return x.Reroute()
				}
			})
			f.Routes[0] = first
		}, status: 301, route: "second", details: "direct_response", field: "location: /new"},
		{name: "the endpoint's answer", change: func(*Forwarder) {}, status: 200, route: "default"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newInBubble(t, behaviour{status: 200})
				b.change = tt.change
				c := &caller{}
				b.serve(c, tt.fields...)
				h := c.hop
				if c.status != tt.status || h.Labels.Route != tt.route || h.Details != tt.details || h.Failure.Origin != tt.origin {
					t.Errorf("%d by route %q, %q, made by %v; want %d by %q, %q, %v", c.status, h.Labels.Route, h.Details, h.Failure.Origin, tt.status, tt.route, tt.details, tt.origin)
				}
				if tt.field != "" && !c.has(tt.field) {
					t.Errorf("the response has %q, not %q", c.fields, tt.field)
				}
				if got := h.GRPCStatus.Code(); tt.grpcStatus != 0 && got != tt.grpcStatus {
					t.Errorf("grpc-status %d, want %d", got, tt.grpcStatus)
				}
			})
		})
	}
}

// TestUpstreamHooks: a route's hooks see each attempt, and may refuse it.
func TestUpstreamHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newInBubble(t, behaviour{status: 503})
		b.target.Retry = &Retry{On: On5xx, Attempts: 3}
		var seen []int
		b.action.Upstream = []Upstream{func(x *filter.Exchange, a *hop.Attempt) error {
			if a != x.Hop.LastAttempt() || !x.Request.Has(message.Traceparent) {
				t.Error("a hook does not see what goes out")
			}
			if seen = append(seen, len(x.Hop.Attempts)); len(seen) == 2 {
				return fault.New(fault.Forbidden, "not a second time")
			}
			return nil
		}}
		c := &caller{}
		b.serve(c)
		if len(seen) != 2 || seen[0] != 1 || seen[1] != 2 || c.status != 403 {
			t.Errorf("the hook saw attempts %d, and the client got %d", seen, c.status)
		}
	})
}
