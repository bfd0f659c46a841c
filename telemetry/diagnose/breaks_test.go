package diagnose

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/telemetry/hop"
)

func TestLostContext(t *testing.T) {
	const mend = "have the application copy traceparent and tracestate, or b3, to what it calls"
	broken := []*hop.Hop{
		in("orders", 1, 0, 0, 40, 200), of(out("orders", "stock", 3, 0, 5, 10, 200), 8), of(out("orders", "payments", 5, 0, 11, 20, 200), 9),
		out("orders", "log", 7, 2, 30, 31, 200),
	}
	cases := []struct {
		name string
		hops []*hop.Hop
		want []Break
	}{
		{"none", nil, nil},
		{"a service that copies", []*hop.Hop{in("orders", 1, 0, 0, 40, 200), out("orders", "stock", 3, 2, 5, 10, 200)}, nil},
		{"a service that does not", broken,
			[]Break{{"orders", 2, "2 of its 3 calls began a trace of their own while it answered a request: " + mend}}},
		{"a call of its own accord", []*hop.Hop{in("orders", 1, 0, 0, 40, 200), of(out("orders", "stock", 3, 0, 50, 60, 200), 8)}, nil},
		{"a call that ends later", []*hop.Hop{in("orders", 1, 0, 0, 40, 200), of(out("orders", "stock", 3, 0, 5, 60, 200), 8)}, nil},
		{"a call of another service", []*hop.Hop{in("orders", 1, 0, 0, 40, 200), of(out("web", "stock", 3, 0, 5, 10, 200), 8)}, nil},
		{"within a long one that began before short ones", []*hop.Hop{
			in("orders", 1, 0, 0, 100, 200), in("orders", 3, 0, 1, 2, 200), in("orders", 5, 0, 3, 4, 200), of(out("orders", "stock", 7, 0, 50, 60, 200), 8)},
			[]Break{{"orders", 1, "1 of its 1 calls began a trace of their own while it answered a request: " + mend}}},
		{"the worst first", append([]*hop.Hop{in("web", 11, 0, 0, 40, 200), of(out("web", "orders", 13, 0, 5, 10, 200), 7), nil}, broken...),
			[]Break{
				{"orders", 2, "2 of its 3 calls began a trace of their own while it answered a request: " + mend},
				{"web", 1, "1 of its 1 calls began a trace of their own while it answered a request: " + mend},
			}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, lostContext(tc.hops, traceID)); diff != "" {
				t.Error("(-want +got):\n" + diff)
			}
		})
	}

	if got := Build(traceID, broken).Breaks; len(got) != 1 || got[0].Service != "orders" || got[0].Count != 2 {
		t.Errorf("the trace that is cut has the breaks %v", got)
	}
	if got := Build(hop.TraceID{15: 8}, broken).Breaks; got != nil {
		t.Errorf("a trace that nothing was cut from has the breaks %v", got)
	}
}

func TestCuts(t *testing.T) {
	cases := []struct {
		name string
		hops []*hop.Hop
		want []string // services
	}{
		{"whole", []*hop.Hop{in("web", 1, 0, 0, 40, 200), in("orders", 3, 2, 1, 39, 200)}, nil},
		{"a root whose caller has no proxy", []*hop.Hop{in("web", 1, 99, 0, 40, 200)}, nil},
		{"an application's own tracer", []*hop.Hop{in("web", 1, 0, 0, 40, 200), out("web", "orders", 3, 99, 1, 39, 200)}, nil},
		{"a call past the proxy", []*hop.Hop{in("web", 1, 0, 0, 40, 200), in("orders", 3, 99, 1, 39, 200), in("orders", 5, 98, 2, 3, 200)}, []string{"web"}},
		{"a hop without a place", []*hop.Hop{in("web", 1, 0, 0, 40, 200), in("orders", 3, 99, 50, 60, 200)}, []string{"orders"}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, b := range Build(traceID, tc.hops).Breaks {
				got = append(got, b.Service)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
