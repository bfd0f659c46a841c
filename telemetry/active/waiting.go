package active

import (
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Waiting returns the outbound hop that an inbound hop waits for: of those of its trace
// that are under way, began after since, and have no response yet, the oldest. A hop whose
// parent is the attempt of the inbound hop comes before all others. ok is false if the
// inbound hop waits for none that is known.
func (t *Table) Waiting(trace hop.TraceID, attempt hop.SpanID, since time.Time) (h Hop, ok bool) {
	own := false
	t.ofTrace(trace, func(b *bucket) {
		n := 0
		for e := b.first; e != nil && n < farthest; e = e.next {
			n++
			if e.hop.Trace != trace || e.hop.Labels.Direction != hop.Outbound || e.kind != hop.KindRequest || e.begun() || e.hop.Start.Before(since) {
				continue
			}
			child := e.hop.Parent == attempt && !attempt.IsZero()
			if !ok || child && !own || child == own && e.hop.Start.Before(h.Start) {
				h, own, ok = e.look(), child, true
			}
		}
	})
	return h, ok
}

// Lost returns the oldest outbound hop of a service that began after since, has no response
// yet, and came without a trace context: what an application waits for that does not pass
// the context on, if it waits for anything. It looks at all hops.
func (t *Table) Lost(service string, since time.Time) (h Hop, ok bool) {
	t.each(func(e *Entry) {
		r := e.hop
		if r.Labels.Direction == hop.Outbound && r.Labels.Service == service && r.Parent.IsZero() &&
			e.kind == hop.KindRequest && !e.begun() && !r.Start.Before(since) && (!ok || r.Start.Before(h.Start)) {
			h, ok = e.look(), true
		}
	})
	return h, ok
}

// Serving counts the inbound hops of a service that are under way, up to most.
func (t *Table) Serving(service string, most int) (n int) {
	t.buckets(func(b *bucket) bool {
		for e := b.first; e != nil; e = e.next {
			if e.hop.Labels.Direction == hop.Inbound && e.hop.Labels.Service == service && e.kind == hop.KindRequest {
				n++
			}
		}
		return n < most
	})
	return min(n, most)
}

// Calls reports whether an outbound hop is a call for an inbound one of its trace that is
// under way. It is for one that ended before it could enter; [Entry.Caller] knows of others.
func (t *Table) Calls(out *hop.Hop) bool {
	_, ok := t.caller(out)
	return ok
}
