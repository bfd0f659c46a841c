package active

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

var (
	inbound  = &hop.Labels{Service: "web", Listener: "ingress", Route: "default", Cluster: "app", Slow: time.Second}
	outbound = &hop.Labels{Service: "web", Direction: hop.Outbound, Listener: "egress", Route: "stock", Cluster: "stock"}
)

// under puts a hop into the table.
func under(t *Table, l *hop.Labels, trace, span, parent byte, start time.Time, limits Limits) *Entry {
	h := &hop.Hop{Labels: l, Trace: hop.TraceID{15: trace}, Span: hop.SpanID{span}, Parent: hop.SpanID{parent}, Start: start, Routed: time.Millisecond, Method: "GET"}
	h.SetString(&h.Path, "/items")
	h.SetString(&h.Host, "stock")
	e := new(Entry)
	t.Enter(e, h, limits, nil, hop.SpanID{}, "")
	return e
}

// TestWaiting finds the call that an inbound hop waits for.
func TestWaiting(t *testing.T) {
	start := time.Now()
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	attempt := hop.SpanID{100}
	for _, tt := range []struct {
		name  string
		enter func(*Table)
		want  byte // the span of the hop; 0 for none
	}{
		{"nothing", func(*Table) {}, 0},
		{"the oldest", func(table *Table) {
			under(table, outbound, 1, 3, 9, at(2), Limits{})
			under(table, outbound, 1, 4, 9, at(1), Limits{})
			under(table, outbound, 1, 5, 9, at(3), Limits{})
		}, 4},
		{"its own before others", func(table *Table) {
			under(table, outbound, 1, 3, 9, at(1), Limits{})
			under(table, outbound, 1, 4, 100, at(3), Limits{})
			under(table, outbound, 1, 5, 100, at(2), Limits{})
		}, 5},
		{"not one that began before it", func(table *Table) { under(table, outbound, 1, 3, 9, at(-1), Limits{}) }, 0},
		{"not one that has its answer", func(table *Table) {
			under(table, outbound, 1, 3, 9, at(1), Limits{}).Wait(Content, time.Second)
		}, 0},
		{"not one that has ended", func(table *Table) {
			first, last := under(table, outbound, 1, 3, 9, at(1), Limits{}), under(table, outbound, 1, 5, 9, at(1), Limits{})
			under(table, outbound, 1, 4, 9, at(2), Limits{})
			first.Leave()
			last.Leave()
		}, 4},
		{"not of another trace, or inbound", func(table *Table) {
			under(table, outbound, 2, 3, 9, at(1), Limits{})
			under(table, inbound, 1, 4, 9, at(1), Limits{})
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := new(Table)
			tt.enter(table)
			h, ok := table.Waiting(hop.TraceID{15: 1}, attempt, start)
			if h.Span != (hop.SpanID{tt.want}) || ok != (tt.want != 0) {
				t.Errorf("it waits for %v, %t", h.Span, ok)
			}
		})
	}
}

// TestCaller finds the request that a call is for.
func TestCaller(t *testing.T) {
	table, start := new(Table), time.Now()
	caller := func() Caller {
		h := &hop.Hop{Labels: outbound, Trace: hop.TraceID{15: 1}, Parent: hop.SpanID{100}, Start: start.Add(time.Second)}
		e := new(Entry)
		table.Enter(e, h, Limits{}, nil, hop.SpanID{}, "")
		defer e.Leave()
		return e.Caller()
	}
	if in := caller(); in != (Caller{}) {
		t.Errorf("found %v of none", in)
	}
	under(table, inbound, 2, 1, 0, start, Limits{Whole: 9 * time.Second})
	under(table, outbound, 1, 2, 0, start, Limits{Whole: 9 * time.Second})
	under(table, inbound, 1, 3, 0, start, Limits{Whole: 2 * time.Second})
	under(table, inbound, 1, 4, 0, start, Limits{Whole: 3 * time.Second})
	if got, want := caller(), (Caller{hop.SpanID{4}, time.Second, 2 * time.Second, true, false}); got != want {
		t.Errorf("found %v, want the one with the most time left: %v", got, want)
	}
	under(table, inbound, 1, 5, 0, start, Limits{}).Try(hop.SpanID{100}, "127.0.0.1:1", 1)
	if got, want := caller(), (Caller{hop.SpanID{5}, time.Second, forever, false, true}); got != want {
		t.Errorf("found %v, want the one whose attempt is its parent: %v", got, want)
	}
}

// TestCalls: a call that fails at once is known by its trace.
func TestCalls(t *testing.T) {
	table, start := new(Table), time.Now()
	call := &hop.Hop{Labels: outbound, Trace: hop.TraceID{15: 1}, Parent: hop.SpanID{100}, Start: start}
	under(table, inbound, 2, 1, 0, start, Limits{})
	under(table, outbound, 1, 2, 0, start, Limits{})
	if table.Calls(call) {
		t.Error("it is for a request of another trace, or for a call")
	}
	under(table, inbound, 1, 3, 0, start, Limits{})
	if !table.Calls(call) {
		t.Error("it is for no request")
	}
}

// TestLost finds the call of an application that passes no trace context on.
func TestLost(t *testing.T) {
	table, start := new(Table), time.Now()
	other := *outbound
	other.Service = "orders"
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	if _, ok := table.Lost("web", start); ok {
		t.Error("there is none")
	}
	under(table, outbound, 1, 1, 0, at(-1), Limits{})                           // before it
	under(table, outbound, 2, 2, 9, at(1), Limits{})                            // of a trace
	under(table, inbound, 3, 3, 0, at(1), Limits{})                             // no call
	under(table, &other, 4, 4, 0, at(1), Limits{})                              // of another service
	under(table, outbound, 5, 5, 0, at(1), Limits{}).Wait(Content, time.Second) // has its answer
	under(table, outbound, 6, 6, 0, at(3), Limits{})
	under(table, outbound, 7, 7, 0, at(2), Limits{})
	if h, ok := table.Lost("web", start); !ok || h.Span != (hop.SpanID{7}) {
		t.Errorf("found %v, %t", h.Span, ok)
	}
	under(table, inbound, 8, 8, 0, at(1), Limits{})
	if n := table.Serving("web", 10); n != 2 {
		t.Errorf("%d requests are served, want 2", n)
	}
	if n := table.Serving("web", 1); n != 1 {
		t.Errorf("%d requests of at most 1 are served", n)
	}
}

// TestLongest: the list is bounded, and those that have taken longest are in it.
func TestLongest(t *testing.T) {
	table, start := new(Table), time.Now()
	for _, i := range []int{5, 2, 9, 7, 1, 8, 4, 3, 6} {
		under(table, inbound, byte(i), byte(i), 0, start.Add(time.Duration(i)*time.Second), Limits{})
	}
	var got []byte
	for _, h := range table.Longest(4) {
		got = append(got, h.Span[0])
	}
	if string(got) != string([]byte{1, 2, 3, 4}) {
		t.Errorf("the longest are %d", got)
	}
	if n := len(table.Longest(100)); n != 9 {
		t.Errorf("%d hops", n)
	}
	if n := len(table.Longest(0)); n != 0 {
		t.Errorf("%d hops of none", n)
	}
}

// TestView: what a hop under way looks like.
func TestView(t *testing.T) {
	table, start := new(Table), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	e := under(table, inbound, 1, 2, 3, start, Limits{Whole: 15 * time.Second})
	e.Try(hop.SpanID{4}, "127.0.0.1:3000", 2*time.Millisecond)
	e.Wait(FirstByte, 100*time.Millisecond)
	got, err := json.Marshal(View{table.Longest(1)[0], start.Add(1100 * time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"service":"web","direction":"inbound","listener":"ingress","route":"default","cluster":"app",` +
		`"trace_id":"00000000000000000000000000000001","span_id":"0200000000000000","parent_id":"0300000000000000",` +
		`"start":"2026-01-02T03:04:05Z","duration_ns":1100000000,"slow":true,"method":"GET","host":"stock","path":"/items",` +
		`"attempts":1,"endpoint":"127.0.0.1:3000","waits_for":"first_byte","waiting_ns":1000000000,"left_ns":13900000000}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestSlow(t *testing.T) {
	table, start := new(Table), time.Now()
	under(table, inbound, 1, 1, 0, start, Limits{})
	under(table, inbound, 2, 2, 0, start.Add(time.Second), Limits{})
	under(table, inbound, 3, 3, 0, start, Limits{}).Wait(Tunnel, 1)
	under(table, outbound, 4, 4, 0, start, Limits{}) // has no threshold
	got := map[string]int{}
	table.Slow(start.Add(1500*time.Millisecond), func(service string, d hop.Direction, n int) { got[service+" "+d.String()] = n })
	if want := map[string]int{"web inbound": 1, "web outbound": 0}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("slow are %v, want %v", got, want)
	}
}

// TestEverythingAtOnce is for the race detector.
func TestEverythingAtOnce(t *testing.T) {
	table := new(Table)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 500 {
				l := inbound
				if g%2 == 1 {
					l = outbound
				}
				e := under(table, l, byte(i%3), byte(g), 9, time.Now(), Limits{Whole: time.Second})
				e.Try(hop.SpanID{9}, "127.0.0.1:1", 1)
				e.Limit(Limits{Begin: time.Second})
				e.Wait(Client, 5)
				e.Leave()
			}
		})
	}
	for range 200 {
		table.Longest(3)
		table.Slow(time.Now(), func(string, hop.Direction, int) {})
		table.Waiting(hop.TraceID{15: 1}, hop.SpanID{9}, time.Time{})
	}
	wg.Wait()
	if left := table.Longest(1); len(left) > 0 {
		t.Errorf("%v is still there", left)
	}
}

// TestCrowdedBucket: a trace id that everybody uses costs nobody a long search.
func TestCrowdedBucket(t *testing.T) {
	table, start := new(Table), time.Now()
	for range room + farthest + 1 {
		under(table, inbound, 1, 1, 0, start, Limits{Whole: time.Second})
	}
	if _, ok := table.Enter(new(Entry), &hop.Hop{Labels: outbound, Trace: hop.TraceID{15: 1}, Start: start}, Limits{}, nil, hop.SpanID{}, ""); ok {
		t.Error("a search went through all of them")
	}
}

// TestManyHops: hops that the first buckets have no room for are found like others.
func TestManyHops(t *testing.T) {
	table, start := new(Table), time.Now()
	var all []*Entry
	for i := range byte(3 * room) { // the same bucket, another trace each
		h := &hop.Hop{Labels: inbound, Trace: hop.TraceID{0: i, 15: 1}, Span: hop.SpanID{i}, Start: start}
		e := new(Entry)
		table.Enter(e, h, Limits{Whole: time.Second}, nil, hop.SpanID{}, "")
		all = append(all, e)
	}
	for i := range byte(3 * room) {
		call, e := &hop.Hop{Labels: outbound, Trace: hop.TraceID{0: i, 15: 1}, Span: hop.SpanID{100}, Start: start}, new(Entry)
		if by, ok := table.Enter(e, call, Limits{}, nil, hop.SpanID{}, ""); by != time.Second || !ok || e.Caller().Span != (hop.SpanID{i}) {
			t.Errorf("the call of request %d has %v, %t of %v", i, by, ok, e.Caller())
		}
		if h, ok := table.Waiting(call.Trace, hop.SpanID{}, start); !ok || h.Span != call.Span {
			t.Errorf("request %d waits for %v, %t", i, h.Span, ok)
		}
		e.Leave()
	}
	if n := len(table.Longest(100)); n != len(all) || table.Serving("web", 100) != n {
		t.Errorf("%d of %d are listed, %d served", n, len(all), table.Serving("web", 100))
	}
	for _, e := range all {
		e.Leave()
	}
	if n := len(table.Longest(100)); n != 0 || table.crowded.Load() != 0 {
		t.Errorf("%d are left, %d of them counted as crowded", n, table.crowded.Load())
	}
}

func TestAllocatesNothing(t *testing.T) {
	table, e, h := new(Table), new(Entry), &hop.Hop{Labels: outbound, Start: time.Now()}
	if n := testing.AllocsPerRun(100, func() {
		table.Enter(e, h, Limits{}, nil, hop.SpanID{}, "127.0.0.1:1")
		e.Wait(FirstByte, 2)
		e.Leave()
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkHop(b *testing.B) {
	table, e, h := new(Table), new(Entry), &hop.Hop{Labels: inbound, Start: time.Now()}
	for b.Loop() {
		table.Enter(e, h, Limits{}, nil, hop.SpanID{}, "127.0.0.1:1")
		e.Wait(FirstByte, 2)
		e.Leave()
	}
}
