package store

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// overhead is about how many bytes the store needs for a hop besides the hop itself: its
// entry, its trace, and the trace's place in the index.
const overhead = 224

// Store is the view that keeps hops. It implements record.View: one goroutine calls its
// view methods; any may call Trace, Traces and Stats. Do not change the hops that it
// returns: they are shared.
type Store struct {
	maxBytes int
	sample   sample // used by the observing goroutine
	// failing counts the hops that failed by their traces' slots: where there is none, no
	// trace need be looked up. Of the same goroutine.
	failing [4096]uint32
	// skips is whether a hop was not kept since the last Tick; of the same goroutine.
	skips bool

	mu     sync.Mutex
	halves [2]half
	traces map[hop.TraceID]*trace
	newest *trace // the trace that got a hop last
	oldest *trace
	left   time.Time // when a hop was last seen to have been skipped

	kept, skipped, evicted, tooLarge atomic.Uint64
	level                            atomic.Uint32 // sample.level, for Stats
}

// half is one of the two queues of hops, first in, first out.
type half struct {
	maxBytes, bytes int
	hops            int
	first, last     *entry
	gone            time.Time // when the last hop that was evicted had ended
}

// The halves of a Store.
const (
	ordinary = iota
	notable  // failed, slow or flagged, with a failed attempt, or of a trace with a failed hop, or pinned
)

// maxBeside is how many hops of a trace are kept only because another one failed. Clients
// choose trace ids, and so could fill the store with one.
const maxBeside = 100

// entry is one hop in its half and in its trace.
type entry struct {
	hop       *hop.Hop
	trace     *trace
	size      int
	pinned    bool   // from the ordinary half it goes to the other one, when its time is over there
	next      *entry // in its half
	prevOther *entry // in its trace
	nextOther *entry
}

// trace is the hops of one trace in order of arrival, and its place among the
// traces.
type trace struct {
	id           hop.TraceID
	first, last  *entry
	failed, slow int // how many hops failed or were slow
	beside       int // how many were kept since others failed
	newer, older *trace
}

// New returns a store of about maxBytes bytes at most. With 0 it keeps nothing.
func New(maxBytes int) *Store {
	s := &Store{
		maxBytes: max(maxBytes, 0),
		sample:   sample{budget: ordinaryPerSecond},
		traces:   make(map[hop.TraceID]*trace),
	}
	s.halves[notable].maxBytes = s.maxBytes / 2
	s.halves[ordinary].maxBytes = s.maxBytes - s.maxBytes/2
	return s
}

// Name implements record.View.
func (s *Store) Name() string { return "store" }

// Observe keeps a copy of the hop if it has a trace, and is notable or in the sample. A
// callee ends before its caller, so that the hops on the way from a failure to the root
// come after it.
func (s *Store) Observe(h *hop.Hop) {
	if s.maxBytes == 0 || h.Trace.IsZero() {
		return
	}
	which := ordinary
	if notableHop(h) || s.beside(h) {
		which = notable
	} else if !s.sample.keep(h.Trace) {
		s.skipped.Add(1)
		s.skips = true
		return
	}
	s.keep(which, h)
}

// notableHop reports whether a hop is worth more than others. A copy of a request never is:
// nobody waits for it, and one whose endpoint is dead would push others out.
func notableHop(h *hop.Hop) bool {
	return h.Labels.Direction != hop.Mirror && (h.Flags != 0 || h.Failed() || h.Slow() || h.FailedAttempt() != nil)
}

// fails reports whether a hop fails its trace.
func fails(h *hop.Hop) bool { return h.Labels.Direction != hop.Mirror && h.Failed() }

// beside reports whether a hop is kept because its trace is: the mesh has pinned it, or
// another hop of it failed. It counts those. It needs no lock: only Observe writes.
func (s *Store) beside(h *hop.Hop) bool {
	if h.Keep != hop.KeepMesh && s.failing[slot(h.Trace)] == 0 {
		return false
	}
	t := s.traces[h.Trace]
	if !t.more() || h.Keep != hop.KeepMesh && (t == nil || t.failed == 0) {
		return false
	}
	if t != nil {
		t.beside++
	}
	return true
}

// more reports whether there may be another hop of the trace that is only kept because of
// others.
func (t *trace) more() bool { return t == nil || t.beside < maxBeside }

// Pin keeps a hop among the notable ones that was observed before: its trace has turned out
// to be one to keep. It is for the goroutine that observes.
func (s *Store) Pin(h *hop.Hop) {
	t := s.traces[h.Trace]
	if s.maxBytes == 0 || h.Trace.IsZero() || !t.more() {
		return
	}
	if t != nil {
		t.beside++
		for e := t.first; e != nil; e = e.nextOther {
			if e.hop.Span == h.Span {
				s.mu.Lock()
				e.hop, e.pinned = h.Clone(), true
				s.mu.Unlock()
				return
			}
		}
	}
	s.keep(notable, h)
}

// keep adds a copy of the hop.
func (s *Store) keep(which int, h *hop.Hop) {
	size := h.Size() + overhead
	if size > s.halves[which].maxBytes {
		s.tooLarge.Add(1)
		return
	}
	e := &entry{hop: h.Clone(), size: size} // outside of the lock: it is most of the work
	s.kept.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(which, e)
}

// Tick implements record.View.
func (s *Store) Tick(now time.Time) {
	s.sample.roll(now)
	if s.skips {
		s.mu.Lock()
		s.left, s.skips = now, false
		s.mu.Unlock()
	}
	s.level.Store(uint32(s.sample.level))
}

// Close implements record.View. Kept hops can still be queried.
func (s *Store) Close(context.Context) error { return nil }

// Trace returns the hops of a trace that are still here, in order of arrival: a callee
// ends, and arrives, before its caller.
func (s *Store) Trace(id hop.TraceID) []*hop.Hop {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.traces[id]
	if !ok {
		return nil
	}
	return t.appendHops(nil)
}

// Kept is what a store has of a time.
type Kept struct {
	Hops []*hop.Hop
	// Failures is from when on every hop is there that failed, was slow, carries a flag or has
	// an attempt that failed;
	// All is from when on every hop is. Hops count by when they ended.
	Failures, All time.Time
}

// Since returns the hops that are here and ended at t or later.
func (s *Store) Since(t time.Time) Kept {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := Kept{Failures: latest(t, s.halves[notable].gone)}
	k.All = latest(latest(k.Failures, s.halves[ordinary].gone), s.left)
	for i := range s.halves {
		for e := s.halves[i].first; e != nil; e = e.next {
			if !e.hop.Start.Add(e.hop.End).Before(t) {
				k.Hops = append(k.Hops, e.hop)
			}
		}
	}
	return k
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Stats say what the store holds, and what became of the hops that it saw.
type Stats struct {
	MaxBytes int `json:"max_bytes"`
	Bytes    int `json:"bytes"`
	Traces   int `json:"traces"`
	Hops     int `json:"hops"`
	// Notable is how many of Hops failed, were slow, carry a flag, have an attempt that
	// failed, or are of a trace with a hop that failed or that the mesh has pinned.
	Notable int `json:"notable_hops"`
	// Kept, Skipped, Evicted and TooLarge count hops since the start: kept,
	// ordinary and not in the sample, removed for newer ones, and larger
	// than a half.
	Kept     uint64 `json:"kept_total"`
	Skipped  uint64 `json:"skipped_total"`
	Evicted  uint64 `json:"evicted_total"`
	TooLarge uint64 `json:"too_large_total"`
	// Sample is the share of ordinary traces that are kept now: 1 is all.
	Sample float64 `json:"sample"`
	// Oldest is when the oldest kept hop started; zero if there is none.
	Oldest time.Time `json:"oldest"`
}

// Stats returns the state of the store.
func (s *Store) Stats() Stats {
	stats := Stats{
		MaxBytes: s.maxBytes,
		Kept:     s.kept.Load(),
		Skipped:  s.skipped.Load(),
		Evicted:  s.evicted.Load(),
		TooLarge: s.tooLarge.Load(),
		Sample:   1 / float64(uint64(1)<<s.level.Load()),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	stats.Traces = len(s.traces)
	stats.Notable = s.halves[notable].hops
	for _, h := range s.halves {
		stats.Bytes += h.bytes
		stats.Hops += h.hops
		if h.first != nil && (stats.Oldest.IsZero() || h.first.hop.Start.Before(stats.Oldest)) {
			stats.Oldest = h.first.hop.Start
		}
	}
	return stats
}

// add puts e into its half and its trace, after making room.
func (s *Store) add(which int, e *entry) {
	s.place(which, e)
	t, ok := s.traces[e.hop.Trace]
	if ok {
		s.unlink(t)
	} else {
		t = &trace{id: e.hop.Trace}
		s.traces[t.id] = t
	}
	t.add(e)
	if fails(e.hop) {
		s.failing[slot(t.id)]++
	}
	t.older = s.newest
	if s.newest == nil {
		s.oldest = t
	} else {
		s.newest.newer = t
	}
	s.newest = t
}

// place puts e into its half, after making room.
func (s *Store) place(which int, e *entry) {
	h := &s.halves[which]
	for h.bytes+e.size > h.maxBytes {
		s.evict(h)
	}
	if h.last == nil {
		h.first = e
	} else {
		h.last.next = e
	}
	h.last = e
	h.bytes += e.size
	h.hops++
}

// evict removes the oldest hop of h, and its trace if that has no other hop.
func (s *Store) evict(h *half) {
	e := h.first
	h.first = e.next
	if h.first == nil {
		h.last = nil
	}
	h.bytes -= e.size
	h.hops--
	if e.pinned && h == &s.halves[ordinary] && e.size <= s.halves[notable].maxBytes {
		e.next, e.pinned = nil, false
		s.place(notable, e)
		return
	}
	if end := e.hop.Start.Add(e.hop.End); end.After(h.gone) {
		h.gone = end
	}
	s.evicted.Add(1)
	e.trace.remove(e)
	if fails(e.hop) {
		s.failing[slot(e.trace.id)]--
	}
	if e.trace.first == nil {
		s.unlink(e.trace)
		delete(s.traces, e.trace.id)
	}
}

// unlink takes t out of the order of traces.
func (s *Store) unlink(t *trace) {
	if t.newer == nil {
		s.newest = t.older
	} else {
		t.newer.older = t.older
	}
	if t.older == nil {
		s.oldest = t.newer
	} else {
		t.older.newer = t.newer
	}
	t.newer, t.older = nil, nil
}

// slot is where the hops of a trace that failed are counted, with those of a few others.
func slot(id hop.TraceID) int { return int(id[14])<<4&0xff0 | int(id[15])&0xf }

func (t *trace) add(e *entry) {
	e.trace = t
	e.prevOther = t.last
	if t.last == nil {
		t.first = e
	} else {
		t.last.nextOther = e
	}
	t.last = e
	t.count(e.hop, 1)
}

func (t *trace) remove(e *entry) {
	if e.prevOther == nil {
		t.first = e.nextOther
	} else {
		e.prevOther.nextOther = e.nextOther
	}
	if e.nextOther == nil {
		t.last = e.prevOther
	} else {
		e.nextOther.prevOther = e.prevOther
	}
	t.count(e.hop, -1)
}

func (t *trace) count(h *hop.Hop, n int) {
	if fails(h) {
		t.failed += n
	}
	if h.Slow() && h.Labels.Direction != hop.Mirror {
		t.slow += n
	}
}

func (t *trace) appendHops(dst []*hop.Hop) []*hop.Hop {
	for e := t.first; e != nil; e = e.nextOther {
		dst = append(dst, e.hop)
	}
	return dst
}
