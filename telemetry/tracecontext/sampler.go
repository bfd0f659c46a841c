package tracecontext

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Sampler decides by the trace id, so all proxies with the same ratio decide alike. It
// agrees with OpenTelemetry's TraceIDRatioBased sampler. A trace that is sampled at one
// ratio is sampled at every greater one. It may also limit how many traces begin in a
// second. The zero value samples nothing.
type Sampler struct {
	bound uint64 // exclusive, on the low 8 bytes without their last bit
	limit *limit // nil for none
	route bool   // the ratio is a route's own
}

// NewSampler returns the sampler for a ratio from 0 to 1; other values are clamped.
func NewSampler(ratio float64) Sampler {
	switch {
	case ratio >= 1:
		return Sampler{bound: 1 << 63}
	case ratio > 0:
		return Sampler{bound: uint64(ratio * (1 << 63))}
	}
	return Sampler{}
}

// Limited returns a sampler that, of the traces that begin here, lets through at most so
// many a second, and as many at once. now has a monotonic reading.
func (s Sampler) Limited(perSecond float64, now time.Time) Sampler {
	interval := int64(float64(time.Second) / perSecond)
	s.limit = &limit{interval: interval, burst: max(0, int64(time.Second)-interval), since: now}
	return s
}

// ForRoute returns a sampler with a route's own ratio, and the same limit.
func (s Sampler) ForRoute(ratio float64) Sampler {
	r := NewSampler(ratio)
	r.limit, r.route = s.limit, true
	return r
}

// IsLimited reports whether the sampler has a limit.
func (s *Sampler) IsLimited() bool { return s.limit != nil }

// Sample reports whether the ratio has the trace sampled.
func (s Sampler) Sample(trace hop.TraceID) bool {
	return binary.BigEndian.Uint64(trace[8:])>>1 < s.bound
}

// Decide keeps a caller's decision, and lets the ratio decide if there is none: then
// [Sampler.Begin] has the whole rule. keep is the reason to export the spans.
func (s Sampler) Decide(d Decision, trace hop.TraceID) (sampled bool, keep hop.Keep) {
	switch d {
	case Drop:
		return false, hop.KeepNot
	case Sample:
		return true, hop.KeepParent
	case Debug:
		return true, hop.KeepDebug
	}
	if s.Sample(trace) {
		return true, hop.KeepRatio
	}
	return false, hop.KeepNot
}

// Begin decides on a trace for which no caller did, at the time now: by the ratio, and then
// by the limit. Each call that returns true counts.
func (s *Sampler) Begin(trace hop.TraceID, now time.Time) (sampled bool, keep hop.Keep) {
	switch {
	case !s.Sample(trace), s.limit != nil && !s.limit.take(now):
		return false, hop.KeepNot
	case s.route:
		return true, hop.KeepRoute
	case s.limit != nil:
		return true, hop.KeepRate
	}
	return true, hop.KeepRatio
}

// limit lets through one for each interval, and more at once where it was not asked for a
// while. It is the generic cell rate algorithm (ITU-T I.371), without a lock.
type limit struct {
	interval, burst int64 // nanoseconds; burst is how far next may be ahead
	since           time.Time
	next            atomic.Int64 // when the next one is due, after since
}

func (l *limit) take(now time.Time) bool {
	at := int64(now.Sub(l.since))
	for {
		next := l.next.Load()
		due := max(next, at)
		if due-at > l.burst {
			return false
		}
		if l.next.CompareAndSwap(next, due+l.interval) {
			return true
		}
	}
}
