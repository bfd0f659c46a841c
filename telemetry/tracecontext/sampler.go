package tracecontext

import (
	"encoding/binary"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Sampler decides by the trace id, so all proxies with the same ratio decide alike. It
// agrees with OpenTelemetry's TraceIDRatioBased sampler. A trace that is sampled at one
// ratio is sampled at every greater one. The zero value samples nothing.
type Sampler struct {
	bound uint64 // exclusive, on the low 8 bytes without their last bit
}

// NewSampler returns the sampler for a ratio from 0 to 1; other values are clamped.
func NewSampler(ratio float64) Sampler {
	switch {
	case ratio >= 1:
		return Sampler{1 << 63}
	case ratio > 0:
		return Sampler{uint64(ratio * (1 << 63))}
	}
	return Sampler{}
}

// Sample reports whether to sample the trace.
func (s Sampler) Sample(trace hop.TraceID) bool {
	return binary.BigEndian.Uint64(trace[8:])>>1 < s.bound
}

// Decide is the whole rule: it keeps a caller's decision, and lets the trace id decide if
// there is none. keep is the reason to export the spans.
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
