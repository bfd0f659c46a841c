package store

import (
	"math"
	"testing"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// feed offers rate hops a second for some seconds, each of its own trace, and
// returns how many of the last second were kept.
func feed(s *sample, now *time.Time, seconds, rate int, next *uint64) int {
	kept := 0
	for range seconds {
		kept = 0
		for i := range rate {
			if s.keep(number(*next)) {
				kept++
			}
			*next++
			if i%(rate/10+1) == 0 {
				s.roll(now.Add(time.Duration(i) * time.Second / time.Duration(rate)))
			}
		}
		*now = now.Add(time.Second)
		s.roll(*now)
	}
	return kept
}

func TestSampleFollowsTheRate(t *testing.T) {
	s := &sample{budget: ordinaryPerSecond}
	now, next := start, uint64(0)
	s.roll(now)
	for _, tt := range []struct {
		rate     int
		min, max int // kept in the last of some seconds
	}{
		{50, 50, 50},
		{ordinaryPerSecond, ordinaryPerSecond, ordinaryPerSecond},
		{50_000, 50, 3 * ordinaryPerSecond},
		{5_000, 50, 3 * ordinaryPerSecond},
		{100, 100, 100},
	} {
		if kept := feed(s, &now, 5, tt.rate, &next); kept < tt.min || kept > tt.max {
			t.Errorf("at %d hops a second %d are kept, want %d to %d", tt.rate, kept, tt.min, tt.max)
		}
	}
}

// A sudden burst is bounded before the second is over.
func TestBurst(t *testing.T) {
	s := &sample{budget: ordinaryPerSecond}
	kept := 0
	for i := range uint64(1_000_000) {
		if s.keep(number(i)) {
			kept++
		}
	}
	if limit := ordinaryPerSecond + ordinaryPerSecond/2*16; kept > limit {
		t.Errorf("%d of a million hops kept, want at most %d", kept, limit)
	}
}

// A client that sends one and the same trace id all the time is no way around
// the bound, whichever id it is.
func TestOneTraceIsBounded(t *testing.T) {
	for _, id := range []hop.TraceID{{}, {1}, {15: 1}, number(5)} {
		s := &sample{budget: ordinaryPerSecond}
		kept := 0
		for range 1_000_000 {
			if s.keep(id) {
				kept++
			}
		}
		if limit := ordinaryPerSecond + ordinaryPerSecond/2*maxLevel; kept > limit {
			t.Errorf("%s: %d kept, want at most %d", id, kept, limit)
		}
	}
}

// What a busy proxy keeps is among what a less busy one keeps.
func TestSamplesAreNested(t *testing.T) {
	busy := &sample{level: 6, budget: math.MaxInt}
	calm := &sample{level: 3, budget: math.MaxInt}
	nBusy, nCalm := 0, 0
	const traces = 64_000
	for i := range uint64(traces) {
		// Ids of 64 bits that count up: the worst that is found in practice.
		id := hop.TraceID{13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)}
		b, c := busy.keep(id), calm.keep(id)
		if b && !c {
			t.Fatalf("%s is kept where there is more traffic and not where there is less", id)
		}
		if b {
			nBusy++
		}
		if c {
			nCalm++
		}
	}
	near := func(got, want int) bool { return got > want*8/10 && got < want*12/10 }
	if !near(nBusy, traces>>6) || !near(nCalm, traces>>3) {
		t.Errorf("kept %d and %d of %d, want about %d and %d", nBusy, nCalm, traces, traces>>6, traces>>3)
	}
}
