package tail

import (
	"context"
	"testing"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/record"
)

var _ record.View = (*Tail)(nil)

var (
	start  = time.Unix(1_700_000_000, 0)
	labels = &hop.Labels{Service: "web"}
)

func newHop(n int, status int) *hop.Hop {
	return &hop.Hop{Labels: labels, Trace: hop.TraceID{byte(n), byte(n >> 8), 1}, Start: start, Status: status}
}

// done is a context that is over.
func done() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestRead(t *testing.T) {
	tail := New()
	tail.Observe(newHop(1, 200)) // nobody reads
	n := tail.Read(done(), start, 0, false)
	if len(n.Hops) != 0 || n.Last == 0 || tail.ring != nil {
		t.Fatalf("%+v", n)
	}
	last := n.Last
	tail.Observe(newHop(2, 200))
	tail.Observe(newHop(3, 503))
	failed := tail.Read(done(), start, last, true)
	all := tail.Read(done(), start, last, false)
	if len(failed.Hops) != 1 || failed.Hops[0].Trace[0] != 3 || len(all.Hops) != 2 || all.Last != failed.Last || all.Missed != 0 {
		t.Errorf("%+v, %+v", failed, all)
	}
	if again := tail.Read(done(), start, all.Last, false); len(again.Hops) != 0 || again.Last != all.Last {
		t.Errorf("%+v", again)
	}
	if strange := tail.Read(done(), start, 1<<60, false); len(strange.Hops) != 0 || strange.Last != all.Last {
		t.Errorf("%+v", strange)
	}
}

// TestReadWaits: who waits is woken by a tick.
func TestReadWaits(t *testing.T) {
	tail := New()
	after := tail.Read(done(), start, 0, false).Last
	got := make(chan News)
	go func() { got <- tail.Read(context.Background(), start, after, false) }()
	tail.Observe(newHop(1, 200))
	tail.Tick(start)
	if n := <-got; len(n.Hops) != 1 {
		t.Errorf("%+v", n)
	}
}

// TestSlowReaders: what a reader misses is said.
func TestSlowReaders(t *testing.T) {
	tail := New()
	after := tail.Read(done(), start, 0, false).Last
	const more = 100
	for i := range size + more {
		if i%perTick == 0 {
			tail.Tick(start)
		}
		tail.Observe(newHop(i, 200))
	}
	n := tail.Read(done(), start, after, false)
	if len(n.Hops) != size || len(n.Hops)+int(n.Missed) < size+more-1 || n.Hops[len(n.Hops)-1].Trace != newHop(size+more-1, 200).Trace {
		t.Errorf("%d hops, %d missed", len(n.Hops), n.Missed)
	}
	after = n.Last
	tail.Tick(start)
	for i := range perTick + more {
		tail.Observe(newHop(i, 200))
	}
	tail.Tick(start)
	tail.Observe(newHop(0, 200))
	if n := tail.Read(done(), start, after, false); len(n.Hops) != perTick+1 || n.Missed != more {
		t.Errorf("%d hops, %d missed", len(n.Hops), n.Missed)
	}
}

// TestNobodyReads: then nothing is kept, after a while.
func TestNobodyReads(t *testing.T) {
	tail := New()
	tail.Read(done(), start, 0, true)
	tail.Observe(newHop(1, 200))
	if tail.ring != nil {
		t.Error("a hop that nobody asked for is kept")
	}
	tail.Observe(newHop(1, 503))
	late := newHop(2, 503)
	late.Start = start.Add(watched + time.Second)
	if tail.Observe(late); tail.ring != nil || tail.failed.Load() != 0 {
		t.Error("the hops are kept for nobody")
	}
	h := newHop(3, 503)
	if n := testing.AllocsPerRun(100, func() { tail.Observe(h) }); n != 0 {
		t.Errorf("%v allocations while nobody reads", n)
	}
}
