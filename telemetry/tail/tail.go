package tail

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

const (
	// size is how many hops are kept.
	size = 2048
	// perTick limits the hops that are copied between two ticks, a tenth of a second.
	perTick = 500
	// watched is for how long hops are kept after the last reader asked.
	watched = 30 * time.Second
)

// Tail is the view. Use [New]. One goroutine calls its view methods; any may call Read.
type Tail struct {
	// all and failed are until when somebody reads, in nanoseconds of Unix time: all hops,
	// or those that failed.
	all, failed atomic.Int64
	taken       int // since the last tick; of the observing goroutine

	mu      sync.Mutex
	ring    []entry
	last    uint64 // the number of the latest; the first is 2, since 0 is for who has not read yet
	missed  uint64 // hops that were not copied, since the start
	changed chan struct{}
	grown   bool // since the last tick
}

type entry struct {
	hop    *hop.Hop
	missed uint64
}

// New returns an empty tail.
func New() *Tail { return &Tail{last: 1, changed: make(chan struct{})} }

// Name is "tail".
func (t *Tail) Name() string { return "tail" }

// Observe keeps a copy of the hop, if somebody reads.
func (t *Tail) Observe(h *hop.Hop) {
	all, failed := t.all.Load(), t.failed.Load()
	if all == 0 && failed == 0 || h.Kind == hop.KindConnection {
		return
	}
	now := h.Start.Add(h.End).UnixNano()
	if now > all && (now > failed || !h.Failed()) {
		if now > max(all, failed) {
			t.forget(all, failed)
		}
		return
	}
	t.taken++
	if t.taken > perTick {
		t.mu.Lock()
		t.missed++
		t.mu.Unlock()
		return
	}
	c := h.Clone()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	if t.ring == nil {
		t.ring = make([]entry, size)
	}
	t.ring[t.last%size] = entry{c, t.missed}
	t.grown = true
}

// forget frees the memory when nobody has read for a while.
func (t *Tail) forget(all, failed int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all.CompareAndSwap(all, 0) && t.failed.CompareAndSwap(failed, 0) {
		t.ring = nil
	}
}

// Tick wakes the readers that wait.
func (t *Tail) Tick(time.Time) {
	t.taken = 0
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.grown {
		close(t.changed)
		t.changed, t.grown = make(chan struct{}), false
	}
}

// Close does nothing.
func (t *Tail) Close(context.Context) error { return nil }

// News is what a reader has not seen.
type News struct {
	// Hops are the new ones, in the order in which they ended. Do not change them.
	Hops []*hop.Hop
	// Last is the number to read on from.
	Last uint64
	// Missed is how many hops there were that the reader can't have: it was too slow, or
	// there were too many.
	Missed uint64
}

// Read returns the hops after the one with a number, those that failed or all. It waits
// for some until ctx is over. A number that was never given, such as 0, stands for now.
func (t *Tail) Read(ctx context.Context, now time.Time, after uint64, failed bool) News {
	until := &t.all
	if failed {
		until = &t.failed
	}
	until.Store(now.Add(watched).UnixNano())
	for {
		n, changed := t.read(after, failed)
		if len(n.Hops) > 0 || n.Missed > 0 || after == 0 && ctx.Err() != nil {
			return n
		}
		if after == 0 {
			after = n.Last
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return n
		}
	}
}

func (t *Tail) read(after uint64, failed bool) (n News, changed <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n.Last = t.last
	if after == 0 || after > n.Last || t.ring == nil {
		return n, t.changed
	}
	first := after + 1
	if t.last >= size && first < t.last-size+1 {
		n.Missed = t.last - size + 1 - first
		first = t.last - size + 1
	}
	before := t.ring[after%size].missed
	for i := first; i <= t.last; i++ {
		e := t.ring[i%size]
		if e.hop == nil {
			continue
		}
		if !failed || e.hop.Failed() {
			n.Hops = append(n.Hops, e.hop)
		}
		if e.missed > before {
			n.Missed += e.missed - before
			before = e.missed
		}
	}
	return n, t.changed
}
