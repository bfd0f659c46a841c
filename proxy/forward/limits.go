package forward

import (
	"bytes"
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
)

// callerFields are what trusted callers say of a request, in Envoy's words.
var callerFields = message.SetOf(message.XEnvoyRetryOn, message.XEnvoyRetryGRPCOn, message.XEnvoyMaxRetries,
	message.XEnvoyTimeout, message.XEnvoyPerTryTimeout, message.XEnvoyExpectedTimeout)

// limits are how long a request may take. All times are from the start of the Hop.
type limits struct {
	// timeout is the time for the whole response, retries included; 0 is none. It runs
	// from the end of the request's content.
	timeout time.Duration
	// perTry is the time that each attempt has for its response to begin; 0 is none.
	perTry time.Duration
	// expected is the time that the caller waits for the response to begin, less the
	// margin; 0 is not known. It runs as timeout does.
	expected time.Duration
	// until is when timeout is over; 0 is never, or not known before the request's
	// content has ended.
	until time.Duration
	// expires is when the grpc-timeout of the caller is over, less the margin; 0 is never.
	// called is that grpc-timeout.
	expires, called time.Duration
	// answer is when the response has to have begun, as nobody waits for it any longer:
	// by expected, or by what the inbound hop of the same trace has left. 0 is never, or
	// not known.
	answer time.Duration
	// quiet is true where the endpoint is not told of perTry.
	quiet bool
	// told is true where the caller said how long the request may take.
	told bool
}

// begin begins the request's time.
func (l *limits) begin(at time.Duration) {
	if l.timeout > 0 {
		l.until = at + l.timeout
	}
	if l.expected > 0 {
		l.answer = shorter(l.answer, at+l.expected)
	}
}

// by is when the request's time is over, or that of its caller; 0 is never.
func (l *limits) by() time.Duration { return shorter(l.until, l.expires) }

// beginBy is when it is too late for the response to begin; 0 is never.
func (l *limits) beginBy() time.Duration { return shorter(l.by(), l.answer) }

// over reports whether that is past.
func (l *limits) over(now time.Duration) bool {
	by := l.beginBy()
	return by > 0 && now >= by
}

// toBegin reports whether there is a limit for the response to begin that is not one for
// all of it.
func (l *limits) toBegin() bool { return l.perTry > 0 || l.answer > 0 }

// attemptBy is when the time of an attempt is up that began then; 0 is never.
func (l *limits) attemptBy(began time.Duration) time.Duration {
	by := l.beginBy()
	if l.perTry > 0 {
		by = shorter(by, began+l.perTry)
	}
	return by
}

// left is how long the endpoint is told that an attempt has that begins now; 0 is no limit.
func (l *limits) left(now time.Duration) time.Duration {
	left := shorter(l.timeout, l.expected)
	if !l.quiet {
		left = shorter(left, l.perTry)
	}
	if by := l.beginBy(); by > 0 {
		left = shorter(left, max(by-now, time.Millisecond))
	}
	return left
}

// expect finds out how long the request may take and what is sent again: as the
// route has it, and within that as the caller does. What a caller says who is not
// trusted is gone by now, but for how long it waits; see [Forwarder.screen].
func (d *delivery) expect() {
	l, r := &d.limits, &d.x.Request
	d.retry = d.target.Retry.plan()
	d.x.Hop.Timeout = d.action.Timeout
	*l = limits{}
	l.timeout = d.action.Timeout
	if l.called = callTimeout(d.x); l.called > 0 {
		l.expires = d.f.Deadlines.within(l.called)
	}
	if d.target.Retry != nil {
		l.perTry = d.target.Retry.PerTry
	}
	if r.HasAny(callerFields) {
		d.heed(r)
	}
	l.quiet = d.f.Deadlines != nil && !d.retry.repeatsLate(d.x.Hop.GRPC)
}

// heed finds out what the caller says.
func (d *delivery) heed(r *message.Head) {
	l := &d.limits
	if t, ok := milliseconds(r, message.XEnvoyExpectedTimeout); ok && t > 0 && d.f.Deadlines != nil {
		l.expected = d.f.Deadlines.within(t)
	}
	if t, ok := milliseconds(r, message.XEnvoyTimeout); ok {
		l.timeout, l.told = shorter(t, l.timeout), true
	}
	if t, ok := milliseconds(r, message.XEnvoyPerTryTimeout); ok {
		l.perTry, l.told = shorter(t, l.perTry), true
	}
	d.retry.override(r)
	for _, id := range [...]message.FieldID{message.XEnvoyRetryOn, message.XEnvoyRetryGRPCOn, message.XEnvoyMaxRetries,
		message.XEnvoyTimeout, message.XEnvoyPerTryTimeout} {
		r.Remove(id)
	}
}

// shorter is the shorter of two limits; 0 is no limit.
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

// tell tells the endpoint which attempt this is, if there is a retry policy, and how long
// it has.
func (d *delivery) tell(x *filter.Exchange) {
	h, r := x.Hop, &x.Request
	n := len(h.Attempts) - d.before
	if d.target.Retry != nil || n > 1 {
		r.Remove(message.XEnvoyAttemptCount)
		r.EndField(message.XEnvoyAttemptCount, strconv.AppendInt(r.BeginField("x-envoy-attempt-count"), int64(n), 10))
	}
	if d.f.Deadlines == nil && !d.limits.told && d.limits.perTry == 0 {
		return
	}
	if r.Has(message.XEnvoyExpectedTimeout) {
		r.Remove(message.XEnvoyExpectedTimeout)
	}
	if left := d.limits.left(h.LastAttempt().Connected); left > 0 {
		r.EndField(message.XEnvoyExpectedTimeout, strconv.AppendInt(r.BeginField(expectedTimeout), max(left.Milliseconds(), 1), 10))
	}
}

// deadline is when the time of an attempt is up that began then, on the clock of
// deadlines; 0 is never.
func (d *delivery) deadline(began time.Duration) time.Duration {
	return d.onClock(d.limits.attemptBy(began))
}

// onClock is an instant of the request on the clock of deadlines; 0 stays 0.
func (d *delivery) onClock(at time.Duration) time.Duration {
	if at == 0 {
		return 0
	}
	return clock(d.x, at)
}

// countTime begins the request's time once its content has ended.
func (d *delivery) countTime() {
	if end, ok := d.content.ended(); ok && !d.content.whole() {
		d.limits.begin(end)
	}
}

// await sets when the attempt gives up: when the request's time or its own is over, or
// when the endpoint is silent for too long. While the client still sends, the first two
// are not known; the upload sets them later.
func (a *attempt) await() {
	d, record := a.d, a.x.Hop.LastAttempt()
	d.countTime()
	a.stream.Await(d.onClock(record.Sent), d.onClock(d.limits.by()), d.idle())
	if _, ended := d.content.ended(); ended && d.limits.toBegin() {
		a.stream.Limit(d.deadline(record.Start))
	}
}

// idle is how long nothing may move.
func (d *delivery) idle() time.Duration { return cmp.Or(d.x.Idle, d.f.StreamIdleTimeout) }

// answers lifts the time that the response had to begin. The request's own time goes on.
func (a *attempt) answers() {
	switch {
	case a.upload != nil:
		a.upload.answers()
	case a.d.limits.toBegin():
		a.stream.Limit(0)
	}
}

// timedOut tells the times of an attempt, of its caller and of the route apart.
func (a *attempt) timedOut(err error) error {
	l := &a.d.limits
	if err == nil || fault.Of(err).Kind != fault.UpstreamTimeout {
		return err
	}
	at, endpoint := now(a.x.Hop), a.x.Hop.LastAttempt().Endpoint
	switch {
	case l.answer > 0 && at >= l.answer && l.answer == l.beginBy():
		return fault.New(fault.UpstreamTimeout, fmt.Sprintf("%s did not answer within %s, which is what the caller waits, less a margin", endpoint, l.answer.Round(time.Millisecond)))
	case l.perTry > 0 && !l.over(at):
		return fault.New(fault.PerTryTimeout, endpoint+" did not answer within the "+l.perTry.String()+" of one attempt")
	}
	return err
}
