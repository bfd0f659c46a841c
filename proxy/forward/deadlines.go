package forward

import (
	"time"

	"github.com/hopscope/hopscope/telemetry/active"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Deadlines says how much of the time that a caller waits is kept back, so that a hop gives
// up a little before its caller does, and the answer that says why arrives in time. Nil
// hands no time down: what callers say of theirs is not looked at, but for grpc-timeout.
type Deadlines struct {
	// Share is the part that is kept back, from 0 to 1, and Least the least of it. It is
	// never more than a half.
	Share float64
	Least time.Duration
	// Inherit bounds an outbound hop by what the inbound hop of its trace has left.
	Inherit bool
}

// within is what a hop has of the time that its caller waits.
func (k *Deadlines) within(left time.Duration) time.Duration {
	if k == nil || left <= 0 {
		return max(left, 1)
	}
	margin := max(time.Duration(float64(left)*k.Share), k.Least)
	return max(left-min(margin, left/2), 1)
}

// spent reports whether nothing but the margin is left of a time at the given instant. An
// endpoint that gave up for want of time answers then, and there is none for another.
func (k *Deadlines) spent(by, at time.Duration) bool {
	return k != nil && by > 0 && at >= k.within(by)
}

// note puts the hop into the table of those under way when its first attempt begins, and
// notes each other one.
func (d *delivery) note(span hop.SpanID, endpoint string, at time.Duration) {
	switch t := d.f.UnderWay; {
	case t == nil:
	case d.entered:
		d.x.Active.Try(span, endpoint, at)
	default:
		d.enter(t, span, endpoint)
	}
}

// enter puts the hop into the table. An outbound hop inherits what the inbound one of its
// trace has left.
func (d *delivery) enter(t *active.Table, span hop.SpanID, endpoint string) {
	l, x := &d.limits, d.x
	d.entered = true
	by, ok := t.Enter(&x.Active, x.Hop, l.known(), d.target, span, endpoint)
	if k := d.f.Deadlines; ok && k != nil && k.Inherit && x.Hop.Kind == hop.KindRequest {
		routed := x.Hop.Routed
		l.answer = shorter(l.answer, routed+k.within(by-routed))
	}
}

// known is what the table is to know of the limits.
func (l *limits) known() active.Limits { return active.Limits{Whole: l.by(), Begin: l.answer} }
