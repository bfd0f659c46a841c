package tally

import (
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// strays are the latest calls that began a trace of their own, and how many of all such
// calls lay within a request of another trace: the service that answered that request does
// not pass the trace context on. A call ends before the request that it is for.
type strays struct {
	calls   [64]stray
	next    int
	waiting int // how many of them were not found
	found   uint64
}

type stray struct {
	labels *hop.Labels // nil for none, and for one that was found
	trace  hop.TraceID
	start  time.Time
	took   time.Duration
}

func (s *strays) observe(h *hop.Hop) {
	switch {
	case h.Kind != hop.KindRequest:
	case h.Labels.Direction == hop.Outbound && h.Parent.IsZero():
		if s.calls[s.next].labels == nil {
			s.waiting++
		}
		s.calls[s.next] = stray{h.Labels, h.Trace, h.Start, h.End}
		s.next = (s.next + 1) % len(s.calls)
	case h.Labels.Direction == hop.Inbound && s.waiting > 0:
		s.match(h)
	}
}

// match finds the calls that lie within a request.
func (s *strays) match(h *hop.Hop) {
	for i := range s.calls {
		c := &s.calls[i]
		if c.labels == nil || c.labels.Service != h.Labels.Service || c.trace == h.Trace || c.start.Before(h.Start) || c.start.Add(c.took).After(h.Start.Add(h.End)) {
			continue
		}
		c.labels = nil
		s.waiting--
		s.found++
	}
}

// Lost returns how many calls, at least, began a trace of their own while their service
// answered a request, since the start. A call that a service makes of its own accord, as
// by a timer, looks the same while it answers one.
func (t *Tally) Lost() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.strays.found
}
