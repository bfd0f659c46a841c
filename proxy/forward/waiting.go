package forward

import (
	"cmp"
	"fmt"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/telemetry/active"
	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// waited is a call that the application of an inbound hop waits for.
type waited struct {
	active.Hop
	callee string
	lost   bool          // it came without a trace context: that it is for the inbound hop is inferred
	since  time.Duration // for how long, of the time of the inbound hop
}

// waitedFor finds the call that an inbound hop waits for, as it ends without a response.
func (f *Forwarder) waitedFor(h *hop.Hop) (w waited, ok bool) {
	a := h.LastAttempt()
	if f.UnderWay == nil || a == nil || h.Labels.Direction != hop.Inbound || a.FirstByte > 0 {
		return w, false
	}
	if w.Hop, ok = f.UnderWay.Waiting(h.Trace, a.Span, h.Start); !ok {
		if f.Causes == nil || f.Causes.Passes.Load() {
			return w, false
		}
		if w.Hop, ok = f.UnderWay.Lost(h.Labels.Service, h.Start); !ok {
			return w, false
		}
		w.lost = true
	}
	if t, is := w.To.(*Target); is {
		w.callee = t.callee([]byte(w.Host))
	}
	w.callee = cmp.Or(w.callee, w.Host, w.Endpoint)
	w.since = time.Since(w.Start)
	return w, w.callee != ""
}

func (w *waited) String() string {
	what := ""
	if w.Waits == active.Connection {
		what = "a connection to "
	}
	return fmt.Sprintf("it has waited for %s%s for %s", what, w.callee, short(w.since))
}

// short is a duration with the digits that matter to a person.
func short(d time.Duration) time.Duration {
	if d < 10*time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}

// blameWaited blames the service that the application of an inbound hop waits for, if the
// application did not answer in time and has waited for at least half of that.
func (f *Forwarder) blameWaited(h *hop.Hop, why *fault.Error) (failure hop.Failure, ok bool) {
	if !late(why) {
		return failure, false
	}
	w, ok := f.waitedFor(h)
	if !ok || 2*w.since < now(h) {
		return failure, false
	}
	failure = hop.Failure{
		Origin: hop.OriginRelayed, Hop: w.callee, Caller: h.Labels.Service, Kind: fault.UpstreamTimeout.String(),
		Endpoint: w.Endpoint, Reason: why.Error() + ": " + w.String(),
	}
	if w.Waits == active.FirstByte {
		failure.Part = hop.PartApplication
	}
	if w.lost {
		failure = diagnose.Lost(failure, h.Labels.Service)
	}
	return failure, true
}

// late reports whether a failure is that a response did not come in time.
func late(why *fault.Error) bool { return diagnose.OutOfTime(why.Kind.String()) }

// waitsFor says what the application of an inbound hop waits for, for the reason of a client
// that gave up; "" if that is nothing that is known.
func (f *Forwarder) waitsFor(h *hop.Hop) string {
	if w, ok := f.waitedFor(h); ok {
		return "; the application has not answered: " + w.String()
	}
	return ""
}
