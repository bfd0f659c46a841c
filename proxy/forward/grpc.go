package forward

import (
	"fmt"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/grpc"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/upstream"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// openCall notes that a request is a gRPC call.
func openCall(x *filter.Exchange) {
	r := &x.Request
	x.Hop.GRPC = r.Has(message.ContentType) && (grpc.IsCall(r) || grpc.IsWeb(r))
}

// callTimeout is a gRPC call's own timeout; 0 is none.
func callTimeout(x *filter.Exchange) time.Duration {
	if !x.Hop.GRPC {
		return 0
	}
	value, ok := x.Request.Get(message.GRPCTimeout)
	if !ok {
		return 0
	}
	timeout, ok := grpc.ParseTimeout(value)
	if !ok {
		return 0
	}
	return max(timeout, 1)
}

// shorten tells the endpoint of a call how much of its time is left: of the caller's
// timeout, and of the route's once that runs. While a client still sends, the route's does
// not.
func (d *delivery) shorten(x *filter.Exchange) error {
	l, by := &d.limits, d.tells()
	if !x.Hop.GRPC || by == 0 {
		return nil
	}
	left := by
	if d.f.dry == nil { // where no time passes
		left -= now(x.Hop)
	}
	if left <= 0 && by == l.expires {
		return expired(l.called)
	}
	r := &x.Request
	r.Remove(message.GRPCTimeout)
	r.EndField(message.GRPCTimeout, grpc.AppendTimeout(r.BeginField("grpc-timeout"), left))
	return nil
}

// tells is when a call is to be over by what its endpoint is told; 0 is never.
func (d *delivery) tells() time.Duration {
	if d.f.Deadlines == nil {
		return d.limits.expires
	}
	return d.limits.by()
}

// expired is the failure of a call whose own timeout is over.
func expired(timeout time.Duration) *fault.Error {
	return fault.New(fault.UpstreamTimeout, fmt.Sprintf("the call was not over within its grpc-timeout of %s", timeout))
}

// late names the timeout of a call as the failure where that was the cause: the endpoint
// knows the timeout, too, and may reset the stream a moment before the proxy gives up.
func (d *delivery) late(err error) error {
	l, h := &d.limits, d.x.Hop
	by := d.tells()
	if err == nil || by == 0 || !h.GRPC || d.now() < by {
		return err
	}
	switch kind := fault.Of(err).Kind; {
	case kind != fault.UpstreamTimeout && kind != fault.UpstreamReset:
	case by == l.expires:
		return expired(l.called)
	case kind == fault.UpstreamReset:
		a := h.LastAttempt()
		return upstream.TimedOut(a.Endpoint, a.FirstByte == 0)
	}
	return err
}

// called takes the status of a call from a response's head or its trailers, and
// reports whether it is there.
func called(x *filter.Exchange, from *message.Head) bool {
	status, text, ok := grpc.Status(from)
	if !ok {
		return false
	}
	h := x.Hop
	h.GRPCStatus = status
	h.LastAttempt().GRPCStatus = status
	h.Set(&h.GRPCMessage, text)
	return true
}

// endCall records the status of a call by its trailers, and who made its failure.
func (f *Forwarder) endCall(x *filter.Exchange, trailers *message.Head) {
	h := x.Hop
	if !h.GRPC || h.GRPCStatus != 0 { // it was in the head
		return
	}
	if trailers == nil || !called(x, trailers) {
		h.GRPCStatus = grpc.OfHTTP(h.Status)
		h.LastAttempt().GRPCStatus = h.GRPCStatus
	}
	switch {
	case h.Status >= 500:
		return
	case h.GRPCStatus.ServerError():
		said := trailers
		if said == nil {
			said = new(message.Head)
		}
		f.attribute(x, said)
	default:
		if f.wentWell(x, trailers); h.Recovered == nil {
			return
		}
	}
	f.note(x)
	if trailers != nil && f.ProxyStatusMode == Append && (h.Recovered == nil || h.Labels.Direction == hop.Inbound) {
		trailers.EndField(message.ProxyStatus, f.ProxyStatus.Append(trailers.BeginField("proxy-status"), h))
	}
}

// replyCall makes the response one for a gRPC client: the status is in the head, and no
// content follows.
func (f *Forwarder) replyCall(x *filter.Exchange, a *fault.Answer) {
	h, r := x.Hop, &x.Response
	if h.GRPCStatus == 0 {
		h.GRPCStatus = statusOf(a)
	}
	h.Status = 200
	r.Status, r.Framing, r.Length = 200, message.NoBody, 0
	r.SetReason(r.Own("OK"))
	r.Add(message.ContentType, "content-type", "application/grpc")
	f.sayStatus(x, a)
}

// statusOf is the gRPC status that an answer has.
func statusOf(a *fault.Answer) hop.GRPCStatus {
	switch {
	case a.GRPC != 0:
		return a.GRPC
	case a.Why != nil:
		return grpc.OfFault(a.Why.Kind)
	}
	return grpc.OfHTTP(a.Status)
}

// sayStatus gives the response the status that stands for an answer.
func (f *Forwarder) sayStatus(x *filter.Exchange, a *fault.Answer) {
	h, r := x.Hop, &x.Response
	text := h.GRPCStatus.String()
	if f.ProxyStatusMode == Append && a.Why != nil {
		text = a.Why.Reason
	}
	h.SetString(&h.GRPCMessage, text)
	r.Add(message.GRPCStatus, "grpc-status", fmt.Sprint(h.GRPCStatus.Code()))
	r.EndField(message.GRPCMessage, grpc.AppendMessage(r.BeginField("grpc-message"), text))
}

// breakOff ends a call whose response has begun by trailers that say why; a reset would
// say nothing. The client can't take a part of a message for the whole, since each
// message begins with its length. breakOff reports whether it could end the call.
func (f *Forwarder) breakOff(x *filter.Exchange, a *fault.Answer) bool {
	h, r := x.Hop, &x.Response
	if !h.GRPC || h.Version == hop.HTTP10 || r.Framing != message.Chunked {
		return false
	}
	r.Begin(nil)
	f.sayStatus(x, a)
	if f.ProxyStatusMode == Append {
		r.EndField(message.ProxyStatus, f.ProxyStatus.Append(r.BeginField("proxy-status"), h))
	}
	return x.Writer.End(r) == nil
}
