package forward

import (
	"time"

	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/grpc"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/outlier"
	"github.com/hopscope/hopscope/proxy/upstream"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// way is an attempt's way to its endpoint. Each ends once, by end, give or discard.
type way struct {
	stream   upstream.Stream   // nil where there is no connection
	endpoint *cluster.Endpoint // nil where the request itself named it
	began    time.Duration     // on the clock of deadlines
	answered bool              // the endpoint's load knows how long it took
	begun    bool              // the endpoint may have a part of the request
	upload   *upload           // sends the content; nil where it went out with the head
}

// begin counts the attempt at its endpoint.
func (w *way) begin(now time.Duration) {
	w.began = now
	if w.endpoint != nil {
		w.endpoint.Begin(now)
	}
}

// answer tells the endpoint's load that it has answered, or failed to.
func (w *way) answer(now time.Duration, ok bool) {
	if w.endpoint != nil && !w.answered {
		w.answered = true
		w.endpoint.Answer(w.began, now, ok)
	}
}

// end ends an attempt: its endpoint is judged by what the attempt says, and the
// connection is given back.
func (f *Forwarder) end(h *hop.Hop, w *way, reusable bool) {
	reusable = w.settle(h) && reusable
	a := h.LastAttempt()
	at := f.clock(h, a.End)
	if e := w.endpoint; e != nil {
		w.answer(at, a.Flags == 0)
		e.End()
		if result, ok := judge(a); ok {
			e.Note(at, result)
		}
		w.endpoint = nil
	}
	if w.stream != nil {
		w.stream.Release(at, reusable)
		w.stream = nil
	}
}

// give ends an attempt that failed.
func (f *Forwarder) give(x *filter.Exchange, w *way, why *fault.Error) {
	f.fail(x.Hop, why)
	if x.Hop.LastAttempt() != nil {
		f.end(x.Hop, w, false)
	}
}

// fail writes a failure into the attempt that it ended. What the client did is
// said, but does not count as a failure of the endpoint's.
func (f *Forwarder) fail(h *hop.Hop, why *fault.Error) {
	a := h.LastAttempt()
	if a == nil || a.End != 0 {
		return
	}
	a.End = now(h)
	a.Details, a.Reason = why.Kind.Details(), why.Error()
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
func (f *Forwarder) discard(x *filter.Exchange, w *way) {
	h, r := x.Hop, &x.Response
	a := h.LastAttempt()
	if h.GRPC {
		if status, _, ok := grpc.Status(r); ok {
			a.GRPCStatus = status
		}
	}
	reusable := !r.Close && r.Framing != message.UntilClose && r.Framing != message.Tunnel
	for done := false; reusable && !done; {
		piece, last, err := w.stream.Body()
		done = last
		a.BytesReceived += int64(len(piece))
		if err != nil || len(piece) == 0 && !done || a.BytesReceived > mostDiscarded { // what has not come is not waited for
			reusable = false
		}
	}
	a.End = now(h)
	f.end(h, w, reusable)
}

// judge is what an attempt says of its endpoint; false where it says nothing, as
// when the client went away, or the proxy itself gave up.
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
