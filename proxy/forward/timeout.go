package forward

import (
	"bytes"
	"net/netip"
	"strconv"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// callerFields are what trusted callers say of a request, in Envoy's words.
var callerFields = message.SetOf(message.XEnvoyRetryOn, message.XEnvoyRetryGRPCOn, message.XEnvoyMaxRetries,
	message.XEnvoyTimeout, message.XEnvoyPerTryTimeout)

// expect finds out how long the request may take and what is sent again: as the
// route has it, and, where it is trusted, the caller.
func (f *Forwarder) expect(x *filter.Exchange, d *destination) {
	d.timeout, d.expires = d.route.Timeout, expiry(x)
	d.retry = d.route.Retry.plan()
	r := &x.Request
	if !r.HasAny(callerFields) {
		return
	}
	if f.trusts(x.Down.Info().PeerIP) {
		if t, ok := milliseconds(r, message.XEnvoyTimeout); ok {
			d.timeout, d.told = t, true
		}
		if t, ok := milliseconds(r, message.XEnvoyPerTryTimeout); ok {
			d.retry.perTry, d.told = t, true
		}
		d.retry.override(r)
	}
	for _, id := range [...]message.FieldID{message.XEnvoyRetryOn, message.XEnvoyRetryGRPCOn, message.XEnvoyMaxRetries,
		message.XEnvoyTimeout, message.XEnvoyPerTryTimeout} {
		r.Remove(id)
	}
}

// trusts reports whether the client may say how its requests are treated.
func (f *Forwarder) trusts(client string) bool {
	ip, err := netip.ParseAddr(client)
	return err == nil && contains(f.Callers, ip)
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
	if d.route.Retry != nil || n > 1 {
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

// deadline is when the time of an attempt that begins now is up, on the clock of
// deadlines; 0 is never. The request's own time begins with its first attempt.
func (f *Forwarder) deadline(h *hop.Hop, d *destination, a *hop.Attempt) time.Duration {
	from := max(a.Start, a.Sent)
	by := d.expires
	if d.timeout > 0 {
		if d.until == 0 || len(h.Attempts) == 1 {
			d.until = from + d.timeout
		}
		if by == 0 || d.until < by {
			by = d.until
		}
	}
	if t := d.retry.perTry; t > 0 && (by == 0 || from+t < by) {
		by = from + t
	}
	if by == 0 {
		return 0
	}
	return f.clock(h, by)
}

// timedOut tells an attempt's time being up from the request's.
func (d *destination) timedOut(h *hop.Hop, err error) error {
	if err == nil || d.retry.perTry == 0 {
		return err
	}
	why := fault.Of(err)
	if why.Kind != fault.UpstreamTimeout || d.until > 0 && now(h) >= d.until || d.expires > 0 && now(h) >= d.expires {
		return err
	}
	return fault.New(fault.PerTryTimeout, h.LastAttempt().Endpoint+" did not answer within the "+d.retry.perTry.String()+" of one attempt")
}
