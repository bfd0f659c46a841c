package diagnose

import (
	"slices"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Part returns the most important hops of a large trace, in the order of their start:
// those that failed or were slow, their callers, and the earliest of the rest. most
// limits hops and attempts together; if there are no more, Part returns hops unchanged.
// It is needed because clients decide how many hops a trace has, and the cost of [Build]
// grows with their square.
func Part(hops []*hop.Hop, most int) []*hop.Hop {
	total := 0
	for _, h := range hops {
		total += 1 + len(h.Attempts)
	}
	if total <= most {
		return hops
	}
	p := part{taken: make(map[*hop.Hop]bool), spans: make(map[hop.SpanID]*hop.Hop, total), left: most}
	all := slices.SortedStableFunc(slices.Values(hops), func(a, b *hop.Hop) int { return a.Start.Compare(b.Start) })
	for _, h := range all {
		p.spans[h.Span] = h
		for i := range h.Attempts {
			p.spans[h.Attempts[i].Span] = h
		}
	}
	for _, h := range all {
		if p.left < most/2 {
			break // the rest is for what came before them
		}
		if h.Failed() || h.Slow() {
			p.takeWithCallers(h)
		}
	}
	for _, h := range all {
		p.take(h)
	}
	return slices.DeleteFunc(all, func(h *hop.Hop) bool { return !p.taken[h] })
}

// part is a choice of hops.
type part struct {
	taken map[*hop.Hop]bool
	spans map[hop.SpanID]*hop.Hop // the hop of each span, its attempts' included
	left  int
}

// take adds h. It reports false if there is no room, or if h is there already.
func (p *part) take(h *hop.Hop) bool {
	cost := 1 + len(h.Attempts)
	if p.taken[h] || cost > p.left {
		return false
	}
	p.taken[h] = true
	p.left -= cost
	return true
}

// takeWithCallers adds h and its callers, up to one that is there already.
func (p *part) takeWithCallers(h *hop.Hop) {
	for h != nil && p.take(h) {
		h = p.spans[h.Parent]
	}
}
