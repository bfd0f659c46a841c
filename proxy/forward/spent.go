package forward

import (
	"fmt"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/active"
	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/headers"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// This file is about time that failures used up, so that others lack it. A failure that an
// application recovered from does not fail the request, but what comes after it may have no
// time left. So it is handed from hop to hop: the inbound hop of the application that
// recovered names it in the Proxy-Status of its response, and the caller's outbound hop
// notes it beside the failures of its own.

// blameSpent blames the calls of an inbound hop that failed, if the application did not answer
// in time and they took at least half of it: the application was late because of them.
func (f *Forwarder) blameSpent(h *hop.Hop, why *fault.Error) (failure hop.Failure, ok bool) {
	a := h.LastAttempt()
	if !late(why) || f.Causes == nil || a == nil || h.Labels.Direction != hop.Inbound || a.FirstByte > 0 {
		return failure, false
	}
	c, ok := f.Causes.Longest(h.Trace, h.Span, h.Start)
	if !ok {
		c, ok = f.Causes.Find(h)
	}
	if !ok || c.Among > 1 || 2*c.Took < now(h) {
		return failure, false
	}
	failure = c.Failure
	failure.Origin = hop.OriginRelayed
	failure.Reason = why.Error() + ": a call of it had failed after " + short(c.Took).String() + ": " + c.Reason
	return failure, true
}

// lacked charges a call that ran out of time to what had used the time up before, if
// hardly any was left when it began: to failed calls that took most of it, or else to the
// service that calls.
//
// in is the inbound hop that the call is for.
func (f *Forwarder) lacked(h *hop.Hop, t *Target, in active.Caller) {
	had, hurried := f.had(h, in)
	if !hurried || !diagnose.WantedTime(h.Failure.Kind) || f.Causes == nil || t == nil {
		return
	}
	// The request to this service was given that much time. So much was used before the
	// call, which had the rest.
	given, used := in.Used+in.Left, in.Used
	reason := fmt.Sprintf("%s had only %s of %s left when it was called: ", t.callee(h.Bytes(h.Host)), short(had), h.Timeout)
	c, ok := f.Causes.Longest(h.Trace, in.Span, h.Start.Add(-used))
	ok = ok && c.Hop != h.Labels.Service && !c.At.After(h.Start)
	switch {
	case ok && c.Took > had && 2*c.Took >= used:
		h.Failure = c.Failure
		h.Failure.Origin = hop.OriginRelayed
		h.Failure.Reason = reason + "before that, a call had failed after " + short(c.Took).String() + ": " + c.Reason
	case had < h.Timeout/10 && 2*used > given:
		origin := h.Failure.Origin
		if given < h.Timeout/2 {
			reason += fmt.Sprintf("%s itself had been given only %s, and had used most of that", h.Labels.Service, short(given))
		} else {
			reason += h.Labels.Service + " had used the rest"
		}
		h.Failure = f.charge(h, t, diagnose.KindNoTimeLeft, reason)
		h.Failure.Origin = origin
	}
}

// had is how long a call had, by the time that was left of the request that it is for.
// hurried reports that this is not even half of what the call's own route allows.
func (f *Forwarder) had(h *hop.Hop, in active.Caller) (had time.Duration, hurried bool) {
	k := f.Deadlines
	if h.Labels.Direction != hop.Outbound || h.Timeout == 0 || !in.Limited || k == nil || !k.Inherit {
		return 0, false
	}
	had = k.within(in.Left)
	return had, had < h.Timeout/2
}

// wentWell notes which failure a hop goes well in spite of, if there is one. r is the
// head of the response, or the trailers that had a call's status; nil for none.
func (f *Forwarder) wentWell(x *filter.Exchange, r *message.Head) {
	h := x.Hop
	if h.Labels.Direction == hop.Outbound {
		if r != nil && r.Has(message.ProxyStatus) {
			h.Recovered = recovered(r)
		}
		return
	}
	if f.Causes != nil && f.Causes.Since(h.Start) {
		f.recoveredInside(h)
	}
}

// recoveredInside notes which call the application went well in spite of, if there is one. It
// is not inlined: what it needs of the stack is no part of every request.
//
//go:noinline
func (f *Forwarder) recoveredInside(h *hop.Hop) {
	if c, ok := f.Causes.Longest(h.Trace, h.Span, h.Start); ok {
		h.Recovered = &hop.Recovered{Failure: c.Failure, Took: c.Took}
		h.Recovered.Origin = hop.OriginRelayed
	}
}

// recovered reads which failure a response went well in spite of.
func recovered(r *message.Head) *hop.Recovered {
	for i := range r.Fields {
		field := &r.Fields[i]
		if field.ID != message.ProxyStatus || field.Removed || !headers.MayTellOfRecovery(r.Bytes(field.Value)) {
			continue
		}
		members, _ := headers.ParseProxyStatus([][]byte{r.Bytes(field.Value)})
		if found := headers.RecoveredFrom(members); found != nil {
			return found
		}
	}
	return nil
}
