package tally

import (
	"slices"
	"time"
)

// Span is what was counted in one window: of hops that ended within [Window] of Start.
type Span struct {
	Start time.Time
	Rows  []Row
}

// Spans returns the windows that are kept, the oldest first.
func (t *Tally) Spans() (all []Span) {
	for i := range t.windows {
		if s, ok := t.span(i); ok { // one at a time, so that hops are counted meanwhile
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b Span) int { return a.Start.Compare(b.Start) })
	return all
}

func (t *Tally) span(i int) (s Span, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := &t.windows[i]
	if w.start.IsZero() {
		return s, false
	}
	s = Span{w.start, make([]Row, 0, len(w.keys))}
	for k, c := range w.keys {
		s.Rows = append(s.Rows, Row{k, *c})
	}
	return s, true
}
