package store

import (
	"testing"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// TestPin: a hop of a trace that is pinned later is kept among the notable ones, once,
// whether the sample had it or not; one that ends after that is, too.
func TestPin(t *testing.T) {
	s := New(40 << 10)
	kept, missed, late := newHop(number(1), nil), newHop(number(2), nil), newHop(number(3), func(h *hop.Hop) { h.Keep = hop.KeepMesh })
	s.Observe(kept)
	for _, h := range []*hop.Hop{kept, missed} {
		h.Keep = hop.KeepMesh
		s.Pin(h)
		check(t, s)
	}
	s.Observe(late)
	if stats := s.Stats(); stats.Hops != 3 || stats.Notable != 2 { // the first one is where it was
		t.Errorf("%+v", stats)
	}
	for n := range uint64(1000) {
		s.Observe(newHop(number(1000+n), nil))
		check(t, s)
	}
	for n := uint64(1); n <= 3; n++ {
		if hops := s.Trace(number(n)); len(hops) != 1 || hops[0].Keep != hop.KeepMesh {
			t.Errorf("of trace %d, %d hops are there", n, len(hops))
		}
	}
	if stats := s.Stats(); stats.Notable != 3 || stats.Evicted == 0 {
		t.Errorf("%+v", stats)
	}
	for n := range uint64(1000) {
		s.Observe(newHop(number(5000+n), failed))
		check(t, s)
	}
	if hops := s.Trace(number(1)); len(hops) != 0 {
		t.Error("a pinned hop is kept for ever")
	}
}

// TestPinOfALongTrace: one trace does not fill the notable half, whatever others say.
func TestPinOfALongTrace(t *testing.T) {
	s := New(1 << 20)
	for n := range uint64(1000) {
		s.Pin(newHop(number(1), func(h *hop.Hop) { h.Span = hop.SpanID{0: 1, 6: byte(n >> 8), 7: byte(n)} }))
	}
	if stats := s.Stats(); stats.Notable > maxBeside+1 {
		t.Errorf("%d hops are kept", stats.Notable)
	}
	check(t, s)
	New(0).Pin(newHop(number(1), nil))
}
