package forward

import (
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/grpc"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/outlier"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// count counts the attempt at its endpoint.
func (a *attempt) count(now time.Duration) {
	a.began = now
	if a.endpoint != nil {
		a.x.Hop.LastAttempt().Cold = a.endpoint.Begin(now)
	}
}

// answer tells the endpoint's load that it has answered, or failed to.
func (a *attempt) answer(now time.Duration, ok bool) {
	if a.endpoint != nil && !a.answered {
		a.answered = true
		a.endpoint.Answer(a.began, now, ok)
	}
}

// refused is the error type of a connection that was refused: nothing listens there.
var refused = fault.ConnectRefused.ProxyError()

// finish ends the attempt: it judges the endpoint by the record, and gives the stream
// back.
func (a *attempt) finish(reusable bool) {
	h := a.x.Hop
	a.examine()
	reusable = a.settle() && reusable
	record := h.LastAttempt()
	at := clock(a.x, record.End)
	if e := a.endpoint; e != nil {
		a.answer(at, record.Flags == 0)
		e.End()
		if record.ProxyError == refused {
			e.Down()
		}
		// A stranger that waits for a moment must not have endpoints ejected.
		hurried := a.x.Stranger && a.d.limits.expected > 0 && record.Flags&hop.UpstreamTimeout != 0
		if result, ok := judge(record); ok && !hurried {
			e.Note(at, result)
		}
		a.endpoint = nil
	}
	if a.stream != nil {
		a.stream.Release(at, reusable)
		a.stream = nil
	}
}

// fail ends an attempt that failed.
func (a *attempt) fail(why *fault.Error) {
	recordFailure(a.x.Hop, why)
	if a.x.Hop.LastAttempt() != nil {
		a.finish(false)
	}
}

// recordFailure writes a failure into the attempt that it ended. A failure of the client's
// does not count against the endpoint.
func recordFailure(h *hop.Hop, why *fault.Error) {
	a := h.LastAttempt()
	if a == nil || a.End != 0 {
		return
	}
	a.End = now(h)
	a.Details, a.Reason, a.Evidence = why.Kind.Details(), why.Error(), why.Evidence
	if why.Kind.Side() == fault.Downstream {
		a.Flags |= why.Kind.Flag() &^ hop.Failures
		return
	}
	a.Flags |= why.Kind.Flag()
	a.ProxyError = why.Kind.ProxyError()
}

// mostDiscarded is how many bytes of a response that is not used are taken, so
// that its connection can be used again.
const mostDiscarded = 64 << 10

// discard ends an attempt whose response is not used.
func (a *attempt) discard() {
	h, r := a.x.Hop, &a.x.Response
	record := h.LastAttempt()
	if h.GRPC {
		if status, _, ok := grpc.Status(r); ok {
			record.GRPCStatus = status
		}
	}
	reusable := !r.Close && r.Framing != message.UntilClose && r.Framing != message.Tunnel
	for done := false; reusable && !done; {
		piece, last, err := a.stream.Body()
		done = last
		record.BytesReceived += int64(len(piece))
		if err != nil || len(piece) == 0 && !done || record.BytesReceived > mostDiscarded { // what has not come is not waited for
			reusable = false
		}
	}
	record.End = now(h)
	a.finish(reusable)
}

// judge is what an attempt says about its endpoint. It is false where that is nothing: the
// client went away, or the proxy itself gave up.
func judge(a *hop.Attempt) (outlier.Result, bool) {
	const own = hop.UpstreamOverflow | hop.Overload | hop.LocalReset | hop.ProxyPanic
	switch {
	case a.Flags&own != 0:
		return 0, false
	case a.Flags&hop.Failures != 0 || a.ProxyError != "":
		return outlier.LocalOrigin, true
	case a.Flags != 0 || a.Status == 0:
		return 0, false
	case a.Status >= 502 && a.Status <= 504, a.GRPCStatus == hop.GRPCStatusOf(14): // UNAVAILABLE
		return outlier.GatewayError, true
	case a.Status >= 500, a.GRPCStatus.ServerError():
		return outlier.Error5xx, true
	}
	return outlier.Success, true
}
