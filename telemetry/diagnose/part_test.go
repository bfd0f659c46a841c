package diagnose

import (
	"slices"
	"testing"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// many are n hops of a trace that one root called, the latest first.
func many(n int) []*hop.Hop {
	labels := &hop.Labels{Service: "s"}
	all := []*hop.Hop{{Labels: labels, Trace: hop.TraceID{1}, Span: hop.SpanID{1}, Status: 200, End: time.Hour}}
	for i := range n - 1 {
		h := &hop.Hop{Labels: labels, Trace: hop.TraceID{1}, Span: hop.SpanID{2, byte(i >> 8), byte(i)}, Parent: hop.SpanID{1}, Status: 200}
		h.Start = all[0].Start.Add(time.Duration(i+1) * time.Millisecond)
		all = append(all, h)
	}
	slices.Reverse(all)
	return all
}

func TestPart(t *testing.T) {
	hops := many(1000)
	if part := Part(hops, 1000); &part[0] != &hops[0] || len(part) != 1000 {
		t.Errorf("%d of 1000 hops, that all fit", len(part))
	}

	// One of the last to begin failed, below one that is ordinary.
	failed, caller := hops[5], hops[6]
	failed.Status, failed.Parent = 503, caller.Span
	failed.Attempts = make([]hop.Attempt, 3)
	part := Part(hops, 100)
	if len(part) != 97 || !slices.Contains(part, failed) || !slices.Contains(part, caller) || part[0] != hops[999] {
		t.Errorf("%d hops; the failed one %t, its caller %t, the root %t", len(part), slices.Contains(part, failed), slices.Contains(part, caller), part[0] == hops[999])
	}
	if !slices.IsSortedFunc(part, func(a, b *hop.Hop) int { return a.Start.Compare(b.Start) }) {
		t.Error("the hops are not in the order of their start")
	}
	if c := Build(hop.TraceID{1}, part).Roots; len(c) != 1 {
		t.Errorf("%d roots", len(c))
	}

	// Where all failed there is room for the first of them, and a circle ends.
	for _, h := range hops {
		h.Status = 503
	}
	hops[999].Parent = failed.Span
	if part := Part(hops, 100); len(part) < 90 || part[0] != hops[999] {
		t.Errorf("%d of 1000 failed hops", len(part))
	}
	if part := Part(hops, 0); len(part) != 0 {
		t.Errorf("%d hops where there is room for none", len(part))
	}
}
