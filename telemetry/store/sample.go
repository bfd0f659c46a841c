package store

import (
	"encoding/binary"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

const (
	// ordinaryPerSecond is about the maximum number of ordinary hops that are kept in a
	// second. It limits the work; at lower rates every hop is kept.
	ordinaryPerSecond = 200
	// maxLevel is the smallest sample: one trace in a million.
	maxLevel = 20
)

// sample chooses ordinary hops by their trace id: at level n one trace in 2^n. The traces
// of a level are a subset of those of every lower level, so every proxy keeps the traces
// that the busiest proxy of a mesh keeps. The level rises within a second if too many
// hops come, and falls at the end of a second with few.
type sample struct {
	level  uint
	kept   int // in this second
	budget int // what may be kept before the level rises
	raised bool
	since  time.Time // when this second began
}

// keep reports whether the hop of the trace is in the sample, and counts it.
func (s *sample) keep(id hop.TraceID) bool {
	if s.level > 0 && spread(id)>>(64-s.level) != 0 {
		return false
	}
	if s.kept >= s.budget && !s.raise() {
		return false
	}
	s.kept++
	return true
}

// raise halves the sample, or reports that it can't. The present hop is still kept: each
// level of a second keeps some hops, so a burst keeps a few times as many as a steady
// second.
func (s *sample) raise() bool {
	if s.level == maxLevel {
		return false
	}
	s.level++
	s.raised = true
	s.budget += ordinaryPerSecond / 2
	return true
}

// roll begins a new second if the last one is over. It may come late, when
// nothing happened in between.
func (s *sample) roll(now time.Time) {
	elapsed := now.Sub(s.since)
	if elapsed < time.Second {
		return
	}
	if !s.raised && !s.since.IsZero() {
		rate := float64(s.kept) / elapsed.Seconds()
		for s.level > 0 && 2*rate <= ordinaryPerSecond {
			s.level--
			rate *= 2
		}
	}
	s.kept, s.budget, s.raised, s.since = 0, ordinaryPerSecond, false, now
}

// spread mixes the bits of a trace id (the finalizer of SplitMix64), because not all ids
// are random: some have 64 bits, some count up.
func spread(id hop.TraceID) uint64 {
	x := binary.BigEndian.Uint64(id[:8]) ^ binary.BigEndian.Uint64(id[8:])
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
