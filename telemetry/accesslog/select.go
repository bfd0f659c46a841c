package accesslog

import (
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/tracecontext"
)

// Only says which hops have a line.
type Only uint8

const (
	// All have one.
	All Only = iota
	// OnlyFailed are those that failed.
	OnlyFailed
	// OnlyFailedOrSlow are those that failed or were slow.
	OnlyFailedOrSlow
)

// Selection says which hops go to a log. Nil takes all.
type Selection struct {
	only  Only
	share tracecontext.Sampler
}

// NewSelection returns which hops are taken: of those that only allows, a share of the
// traces, from 0 to 1. The trace id decides, so every proxy with the same share takes the
// same traces. Failed and slow hops are taken whatever the share is.
func NewSelection(only Only, share float64) *Selection {
	if only == All && share >= 1 {
		return nil
	}
	return &Selection{only, tracecontext.NewSampler(share)}
}

// Takes reports whether h is to be logged.
func (s *Selection) Takes(h *hop.Hop) bool {
	switch {
	case s == nil || h.Failed():
		return true
	case s.only == OnlyFailed:
		return false
	case h.Slow():
		return true
	case s.only == OnlyFailedOrSlow:
		return false
	}
	return s.share.Sample(h.Trace)
}
