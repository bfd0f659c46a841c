package diagnose

import (
	"slices"
	"strings"
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
			if diff := cmp.Diff(tc.want, LostContext(tc.hops)); diff != "" {
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

func TestJoins(t *testing.T) {
	web, other := in("web", 1, 0, 0, 40, 200), of(in("web", 3, 0, 10, 50, 200), 4)
	first, both, late := of(out("web", "stock", 5, 0, 2, 8, 200), 7), of(out("web", "stock", 7, 0, 12, 30, 200), 8), of(out("web", "stock", 9, 0, 35, 45, 200), 9)
	passed, alone := out("web", "stock", 11, 2, 3, 4, 200), of(out("web", "stock", 13, 0, 60, 70, 200), 10)
	got := Joins([]*hop.Hop{first, both, late, passed, alone, other, web, nil, of(out("batch", "stock", 15, 0, 12, 13, 200), 11)})
	if want := []Join{{first, web}, {late, other}}; !slices.Equal(got, want) {
		t.Errorf("%d joins, %v, want %v", len(got), got, want)
	}
}

// TestTheTraceEnds: a service whose calls are not in the trace is not said to be at fault
// for what it answered.
func TestTheTraceEnds(t *testing.T) {
	failing := answers500(in("web", 1, 0, 0, 40, 500))
	cases := []struct {
		name     string
		hops     []*hop.Hop
		verdict  string
		says     string
		unproven bool
	}{
		{"perhaps it calls nobody", []*hop.Hop{failing}, "web: the application at 127.0.0.1:3000 answered 500",
			"the trace ends at web: if it calls others, have the application copy traceparent", false},
		{"it calls others", []*hop.Hop{failing, of(out("web", "stock", 3, 0, 5, 10, 200), 8)},
			"the trace ends at web: the application at 127.0.0.1:3000 answered 500; what it called is not in the trace", "have the application copy", true},
		{"one of the others failed", []*hop.Hop{failing, of(refused(out("web", "stock", 3, 0, 5, 10, 503), "10.0.0.9:80"), 8)},
			"the trace ends at web: the application at 127.0.0.1:3000 answered 500; what it called is not in the trace",
			"meanwhile its call of stock failed, in trace 00000000000000000000000000000008: connection refused by 10.0.0.9:80 (inferred from the time)", true},
		{"it passes the context on to some", []*hop.Hop{failing, out("web", "log", 5, 2, 3, 4, 200), of(out("web", "stock", 3, 0, 5, 10, 200), 8)},
			"web: the application at 127.0.0.1:3000 answered 500", "", false},
		{"nothing listens", []*hop.Hop{refused(in("web", 1, 0, 0, 40, 503), "127.0.0.1:1"), of(out("web", "stock", 3, 0, 5, 10, 200), 8)},
			"web: connection refused by 127.0.0.1:1 (UF)", "", false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			trace := Build(traceID, tc.hops)
			c := trace.Culprit
			got := strings.Join(c.Evidence, "\n")
			if c.String() != tc.verdict || c.Unproven != tc.unproven || c.Service != "web" {
				t.Errorf("%s, unproven is %t", c, c.Unproven)
			}
			if !strings.Contains(got, tc.says) || tc.says == "" && got != "" {
				t.Errorf("the evidence is %q, want %q", got, tc.says)
			}
			if text := trace.Text(); strings.Contains(text, "\nculprit: ") == tc.unproven {
				t.Errorf("it is called the culprit:\n%s", text)
			}
		})
	}
}

// TestBrokenTracesAreShownAsOne: the call that began a trace of its own has its place below
// the request that it was made for, and its failure is found.
func TestBrokenTracesAreShownAsOne(t *testing.T) {
	request := answers500(in("web", 1, 0, 0, 40, 500))
	call := of(out("web", "stock", 3, 0, 5, 20, 503), 8)
	callee := of(refused(in("stock", 5, 4, 6, 15, 503), "127.0.0.1:1"), 8)
	hops := []*hop.Hop{request, call, callee}
	joins := Joins(hops)
	if len(joins) != 1 {
		t.Fatalf("%d joins", len(joins))
	}
	trace := Build(traceID, hops, joins...)
	if len(trace.Roots) != 1 || trace.Hops != 3 || trace.Culprit == nil || trace.Culprit.Service != "stock" || !trace.Culprit.Inferred || trace.Culprit.Unproven {
		t.Fatalf("%d roots, %d hops, culprit %+v", len(trace.Roots), trace.Hops, trace.Culprit)
	}
	if got := strings.Join(trace.Culprit.Evidence, "\n"); !strings.Contains(got, "inferred from the time: web passes no trace context on") {
		t.Error(got)
	}
	text := trace.Text()
	for _, want := range []string{"culprit: stock: connection refused by 127.0.0.1:1", "└┄web → stock", "┄ put there by service and time", "cut at web: 1 of its 1 calls began a trace of their own"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if whole := Build(hop.TraceID{15: 8}, hops, joins...); len(whole.Roots) != 1 || whole.Hops != 2 {
		t.Errorf("the other trace has %d roots and %d hops", len(whole.Roots), whole.Hops)
	}
}
