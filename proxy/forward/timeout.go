package forward

import (
	"bytes"
	"strconv"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/upstream"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// callerFields are what trusted callers say of a request, in Envoy's words.
var callerFields = message.SetOf(message.XEnvoyRetryOn, message.XEnvoyRetryGRPCOn, message.XEnvoyMaxRetries,
	message.XEnvoyTimeout, message.XEnvoyPerTryTimeout)

// expect finds out how long the request may take and what is sent again: as the
// route has it, and within that as the caller does. What a caller says who is not
// trusted is gone by now; see [Forwarder.screen].
func (f *Forwarder) expect(x *filter.Exchange, d *destination) {
	d.timeout, d.expires = d.forward.Timeout, expiry(x)
	d.retry = d.target.Retry.plan()
	r := &x.Request
	if !r.HasAny(callerFields) {
		return
	}
	if t, ok := milliseconds(r, message.XEnvoyTimeout); ok {
		d.timeout, d.told = shorter(t, d.timeout), true
	}
	if t, ok := milliseconds(r, message.XEnvoyPerTryTimeout); ok {
		d.retry.perTry, d.told = shorter(t, d.retry.perTry), true
	}
	d.retry.override(r)
	for _, id := range [...]message.FieldID{message.XEnvoyRetryOn, message.XEnvoyRetryGRPCOn, message.XEnvoyMaxRetries,
		message.XEnvoyTimeout, message.XEnvoyPerTryTimeout} {
		r.Remove(id)
	}
}

// shorter is the shorter of two limits, of which 0 is none.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// milliseconds reads a field that holds a time; 0 is no limit.
func milliseconds(r *message.Head, id message.FieldID) (time.Duration, bool) {
	value, ok := r.Get(id)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 31)
	return time.Duration(n) * time.Millisecond, err == nil
}

// tell says to the endpoint which attempt this is, and how long it may take, where
// there is more to say than that it is the first.
func (f *Forwarder) tell(x *filter.Exchange, d *destination) {
	h, r := x.Hop, &x.Request
	n := len(h.Attempts)
	if d.target.Retry != nil || n > 1 {
		r.Remove(message.XEnvoyAttemptCount)
		r.AddSpan(message.XEnvoyAttemptCount, "x-envoy-attempt-count", r.Keep(strconv.AppendInt(r.Scratch(), int64(n), 10)))
	}
	if !d.told && d.retry.perTry == 0 {
		return
	}
	left := d.timeout
	if d.until > 0 {
		left = max(d.until-now(h), time.Millisecond)
	}
	if t := d.retry.perTry; t > 0 && (left == 0 || t < left) {
		left = t
	}
	r.Remove(message.XEnvoyExpectedTimeout)
	if left > 0 {
		r.AddSpan(message.XEnvoyExpectedTimeout, "x-envoy-expected-rq-timeout-ms", r.Keep(strconv.AppendInt(r.Scratch(), left.Milliseconds(), 10)))
	}
}

// by is when the request's time is over, or that of its caller, from the start of the
// Hop; 0 is never.
func (d *destination) by() time.Duration {
	if d.until == 0 || d.expires > 0 && d.expires < d.until {
		return d.expires
	}
	return d.until
}

// over reports whether that is past.
func (d *destination) over(now time.Duration) bool {
	by := d.by()
	return by > 0 && now >= by
}

// deadline is when the time of an attempt is up that began then, on the clock of
// deadlines; 0 is never.
func (f *Forwarder) deadline(h *hop.Hop, d *destination, began time.Duration) time.Duration {
	by := d.by()
	if t := d.retry.perTry; t > 0 && (by == 0 || began+t < by) {
		by = began + t
	}
	if by == 0 {
		return 0
	}
	return f.clock(h, by)
}

// count begins the request's time, which runs from the end of its content.
func (d *destination) count(b content) {
	if end, ok := b.ended(); ok && !b.whole() && d.timeout > 0 {
		d.until = end + d.timeout
	}
}

// await says when an attempt gives up: when the request's time is over, or its own, or
// when the endpoint is silent for too long. While the client still sends its request,
// the first two are not known; the upload sets them.
func (f *Forwarder) await(h *hop.Hop, d *destination, c upstream.Stream, b content) {
	d.count(b)
	by := time.Duration(0)
	if d.by() > 0 {
		by = f.clock(h, d.by())
	}
	c.Await(f.clock(h, h.LastAttempt().Sent), by, f.StreamIdleTimeout)
	if _, ended := b.ended(); ended && d.retry.perTry > 0 {
		c.Limit(f.deadline(h, d, h.LastAttempt().Start))
	}
}

// answers lifts the time of one attempt, which was for its response to begin: the
// rest has the request's.
func (f *Forwarder) answers(d *destination, w *way) {
	switch {
	case d.retry.perTry == 0:
	case w.upload != nil:
		w.upload.answers()
	default:
		w.stream.Limit(0)
	}
}

// timedOut tells an attempt's time being up from the request's.
func (d *destination) timedOut(h *hop.Hop, err error) error {
	if err == nil || d.retry.perTry == 0 || fault.Of(err).Kind != fault.UpstreamTimeout || d.over(now(h)) {
		return err
	}
	return fault.New(fault.PerTryTimeout, h.LastAttempt().Endpoint+" did not answer within the "+d.retry.perTry.String()+" of one attempt")
}
