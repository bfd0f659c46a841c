package tally

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/record"
)

var _ record.View = (*Tally)(nil)

var start = time.Unix(1_700_000_000, 0)

var (
	in  = &hop.Labels{Service: "web", Listener: "ingress", Route: "/", Cluster: "web", Slow: time.Second}
	out = &hop.Labels{Service: "web", Direction: hop.Outbound, Listener: "egress", Route: "forward", Cluster: "egress"}
)

func newHop(l *hop.Labels, at time.Duration, change func(*hop.Hop)) *hop.Hop {
	h := &hop.Hop{Labels: l, Start: start.Add(at), End: 3 * time.Millisecond, Method: "GET", Status: 200, Version: hop.HTTP11, Parent: hop.SpanID{1}}
	h.Attempt().Endpoint = "10.0.0.1:80"
	if change != nil {
		change(h)
	}
	return h
}

func failed(h *hop.Hop) { h.Status = 503 }

// observe has a hop counted some time after the one before.
func (t *Tally) observe(h *hop.Hop) {
	t.Tick(h.Start)
	t.Observe(h)
}

func lines(rows []Row) (all []string) {
	for _, r := range rows {
		all = append(all, fmt.Sprintf("%s %s %s %s%s %s: %+v", r.Labels.Service, r.Labels.Direction, r.Route, r.Method, r.Host, r.Endpoint, r.Count))
	}
	slices.Sort(all)
	return all
}

func TestSince(t *testing.T) {
	tally := New(start)
	tally.observe(newHop(in, 0, nil))
	tally.observe(newHop(in, time.Second, failed))
	tally.observe(newHop(in, 2*time.Second, func(h *hop.Hop) { h.Parent = hop.SpanID{}; h.Attempt().Endpoint = "10.0.0.2:80" }))
	tally.observe(newHop(in, 3*time.Second, func(h *hop.Hop) { h.Kind = hop.KindConnection; failed(h) }))
	tally.observe(newHop(out, 4*time.Second, func(h *hop.Hop) { h.SetString(&h.Host, "Bank:80") }))
	tally.observe(newHop(in, 10*time.Minute, failed))
	tally.observe(newHop(in, 10*time.Minute+29*time.Second, nil))
	tally.observe(newHop(in, 10*time.Minute+31*time.Second, nil))
	for _, tt := range []struct {
		since, from time.Duration
		want        []string
	}{
		{-time.Hour, 0, []string{
			"web inbound / GET 10.0.0.1:80: {Requests:5 Failed:2 Roots:0 Attempts:5}", "web inbound / GET 10.0.0.2:80: {Requests:1 Failed:0 Roots:1 Attempts:2}",
			"web outbound forward GETbank:80 10.0.0.1:80: {Requests:1 Failed:0 Roots:0 Attempts:1}",
		}},
		{5 * time.Minute, 5 * time.Minute, []string{"web inbound / GET 10.0.0.1:80: {Requests:3 Failed:1 Roots:0 Attempts:3}"}},
		{10*time.Minute + 10*time.Second, 10*time.Minute + 3*time.Millisecond, []string{"web inbound / GET 10.0.0.1:80: {Requests:3 Failed:1 Roots:0 Attempts:3}"}},
		{10*time.Minute + 31*time.Second, 10*time.Minute + 31*time.Second, []string{"web inbound / GET 10.0.0.1:80: {Requests:1 Failed:0 Roots:0 Attempts:1}"}},
		{time.Hour, time.Hour, nil},
	} {
		rows, from := tally.Since(start.Add(tt.since))
		if diff := gocmp.Diff(tt.want, lines(rows)); diff != "" || !from.Equal(start.Add(tt.from)) {
			t.Errorf("since %v: from %v, want %v (-want +got):\n%s", tt.since, from.Sub(start), tt.from, diff)
		}
	}
}

// TestSpans: each window says what was counted in it.
func TestSpans(t *testing.T) {
	tally := New(start)
	tally.Observe(newHop(in, 0, nil))
	tally.Observe(newHop(in, time.Second, failed))
	tally.Tick(start.Add(time.Minute))
	tally.Observe(newHop(in, time.Minute, nil))
	all := tally.Spans()
	if len(all) != 2 || !all[0].Start.Equal(start) || !all[1].Start.After(start.Add(time.Minute)) {
		t.Fatalf("%+v", all)
	}
	if a, b := all[0].Rows, all[1].Rows; len(a) != 1 || a[0].Requests != 2 || a[0].Failed != 1 || len(b) != 1 || b[0].Requests != 1 {
		t.Errorf("%+v", all)
	}
}

// TestOldWindowsAreForgotten: what is older than an hour is no longer known, and that is said.
func TestOldWindowsAreForgotten(t *testing.T) {
	tally := New(start)
	for i := range 2 * Windows {
		tally.observe(newHop(in, time.Duration(i)*Window, nil))
	}
	rows, from := tally.Since(start)
	want := start.Add(Windows*Window + 3*time.Millisecond)
	if len(rows) != 1 || rows[0].Requests != Windows || !from.Equal(want) {
		t.Errorf("%d requests from %v, want %d from %v", rows[0].Requests, from.Sub(start), Windows, want.Sub(start))
	}
}

func TestKeysAreBounded(t *testing.T) {
	tally := New(start)
	const n = 5000
	for i := range n {
		tally.Observe(newHop(in, 0, func(h *hop.Hop) { h.Attempts[0].Endpoint = fmt.Sprint("10.0.0.1:", i) }))
		tally.Observe(newHop(out, 0, func(h *hop.Hop) { h.SetString(&h.Host, fmt.Sprint("host", i)) }))
		tally.Observe(newHop(&hop.Labels{Service: "web", Cluster: fmt.Sprint("c", i)}, 0, nil))
	}
	rows, _ := tally.Since(start)
	requests := uint64(0)
	for _, r := range rows {
		requests += r.Requests
	}
	if len(rows) > 2*maxKeys+10 || requests != 3*n || len(tally.hosts) > maxHosts {
		t.Errorf("%d rows, %d requests, %d hosts", len(rows), requests, len(tally.hosts))
	}
	requests = 0
	for _, total := range tally.Totals() {
		requests += total.Requests
	}
	if len(tally.Totals()) > maxEdges+2 || requests != 3*n {
		t.Errorf("%d totals, %d requests", len(tally.Totals()), requests)
	}
}

func TestTotals(t *testing.T) {
	tally := New(start)
	other := *in // as after a reload
	for i, l := range []*hop.Labels{in, &other, in} {
		tally.Observe(newHop(l, 0, func(h *hop.Hop) { h.End = time.Duration(i) * time.Second }))
	}
	tally.Observe(newHop(in, 0, func(h *hop.Hop) { h.Kind = hop.KindTunnel; failed(h) }))
	tally.Observe(newHop(out, 0, func(h *hop.Hop) { h.SetString(&h.Host, "bank") }))
	all := tally.Totals()
	slices.SortFunc(all, func(a, b Total) int { return cmp.Compare(a.Direction, b.Direction) })
	if len(all) != 2 || all[0].Requests != 4 || all[0].Failed != 1 || all[0].Slow != 2 || all[1].Host != "bank" || all[1].Requests != 1 {
		t.Fatalf("%+v", all)
	}
	for i, n := range all[0].Durations {
		low := time.Duration(0)
		if i > 0 {
			low = Bound(i - 1)
		}
		want := uint64(0)
		for _, d := range []time.Duration{0, time.Second, 2 * time.Second} {
			if d <= Bound(i) && (d > low || i == 0) {
				want++
			}
		}
		if n != want {
			t.Errorf("%d of %v to %v, want %d", n, low, Bound(i), want)
		}
	}
	if Bound(2) != 2*Bound(0) || Bound(Buckets-2) < 50*time.Second {
		t.Errorf("bounds %v and %v", Bound(2), Bound(Buckets-2))
	}
}

func TestLost(t *testing.T) {
	tally := New(start)
	call := func(at, took time.Duration, parent hop.SpanID) {
		tally.Observe(newHop(out, at, func(h *hop.Hop) { h.Trace, h.Parent, h.End = hop.TraceID{byte(at), 1}, parent, took }))
	}
	serve := func(at, took time.Duration) {
		tally.Observe(newHop(in, at, func(h *hop.Hop) { h.Trace, h.End = hop.TraceID{2}, took }))
	}
	call(1, 5, hop.SpanID{})
	call(2, 5, hop.SpanID{1}) // it has the context
	call(3, 100, hop.SpanID{})
	call(50, 5, hop.SpanID{})
	for _, tt := range []struct {
		at, took time.Duration
		want     uint64
	}{{0, 10, 1}, {0, 10, 1}, {4, 200, 2}, {0, 200, 3}} {
		if serve(tt.at, tt.took); tally.Lost() != tt.want {
			t.Errorf("after a request from %v for %v: %d, want %d", tt.at, tt.took, tally.Lost(), tt.want)
		}
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	tally := New(start)
	h, call := newHop(in, 0, nil), newHop(out, 0, func(h *hop.Hop) { h.SetString(&h.Host, "bank") })
	if n := testing.AllocsPerRun(100, func() { tally.Observe(h); tally.Observe(call) }); n != 0 {
		t.Errorf("%v allocations for two hops", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	tally := New(start)
	h := newHop(in, 0, nil)
	b.ReportAllocs()
	for b.Loop() {
		tally.Observe(h)
	}
}

func TestBucket(t *testing.T) {
	for i := range Buckets - 1 {
		bound := Bound(i)
		if at, after := bucket(bound), bucket(bound+1); at != i || after != i+1 {
			t.Errorf("%v is in range %d, and what is longer in %d; want %d and %d", bound, at, after, i, i+1)
		}
	}
	for d, want := range map[time.Duration]int{-1: 0, 0: 0, math.MaxInt64: Buckets - 1} {
		if got := bucket(d); got != want {
			t.Errorf("%v is in range %d, want %d", d, got, want)
		}
	}
}
