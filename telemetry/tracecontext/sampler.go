package tracecontext

import (
	"encoding/binary"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Sampler decides by the trace id, so that all who have the same ratio decide
// alike without a word between them. It agrees with OpenTelemetry's
// TraceIDRatioBased sampler, and a trace that is sampled at one ratio is
// sampled at every greater one. The zero value samples nothing.
type Sampler struct {
	bound uint64 // exclusive, on the low 8 bytes without their last bit
}

// NewSampler returns the sampler of a ratio between 0 and 1; what is outside
// counts as the nearest of them.
func NewSampler(ratio float64) Sampler {
	switch {
	case ratio >= 1:
		return Sampler{1 << 63}
	case ratio > 0:
		return Sampler{uint64(ratio * (1 << 63))}
	}
	return Sampler{}
}

// Sample reports whether the trace is among those to sample.
func (s Sampler) Sample(trace hop.TraceID) bool {
	return binary.BigEndian.Uint64(trace[8:])>>1 < s.bound
}

// Decide is the whole rule: a caller's decision is kept, and only where there
// is none the trace id decides. keep is the reason to export the spans.
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
