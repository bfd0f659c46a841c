package forward

import (
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/upstream"
	"github.com/hopscope/hopscope/telemetry/active"
	"github.com/hopscope/hopscope/telemetry/headers"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// relay takes the response, whose head is in the exchange, to the client.
func (a *attempt) relay() (err error) {
	defer a.rescueRelay(&err)
	f, x := a.d.f, a.x
	h, r, record := x.Hop, &x.Response, x.Hop.LastAttempt()
	if r.Framing == message.Tunnel {
		http1.StripHopByHop(r)
		return a.tunnel()
	}
	a.answers()
	a.learn(r)
	h.Status = r.Status
	if h.GRPC {
		called(x, r)
	}
	switch {
	case r.Status >= 500 || h.GRPCStatus.ServerError() || h.Flags&hop.Failures != 0:
		f.attribute(x, r)
	case !h.GRPC || h.GRPCStatus != 0: // else the trailers tell
		f.wentWell(x, r)
	}
	reusable := !r.Close && r.Framing != message.UntilClose
	r.Close = false // that was between the endpoint and us
	http1.StripHopByHop(r)
	if undo := a.d.action.Undo; undo != nil {
		undo.apply(r, x, record)
	}
	a.d.sticky.give(r)
	a.d.cookie.give(r)
	if s := a.d.target.Session; s != nil && a.endpoint != nil {
		s.give(a.endpoint, &x.Request, r)
	}
	h.FirstByte = record.FirstByte
	err = x.Writer.Head(r)
	if err == nil {
		err = f.copy(x, a.stream)
	}
	err = a.cause(err)
	if err == nil {
		h.End = now(h)
		record.End = h.End
	} else {
		recordFailure(h, fault.Of(err)) // and the Hop ends later
	}
	a.finish(reusable && err == nil)
	return err
}

// copy takes the response's content to the client. It sends what it has before it waits
// for more.
func (f *Forwarder) copy(x *filter.Exchange, c upstream.Stream) error {
	h, w := x.Hop, x.Writer
	a := h.LastAttempt()
	for hurried := false; ; {
		piece, done, err := c.Body()
		if err != nil {
			return err
		}
		if len(piece) > 0 {
			a.BytesReceived += int64(len(piece))
			if err := w.Content(piece); err != nil {
				return err
			}
		}
		if done {
			return f.close(x, c.Trailers())
		}
		if len(piece) > 0 {
			continue
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if !hurried && a.BytesReceived == 0 {
			c.Hurry()
		}
		hurried = true
		at := now(h)
		c.AwaitMore(clock(x, at))
		x.Active.Wait(active.Content, at)
		ended, err := c.More()
		if err != nil {
			return err
		}
		x.Active.Wait(active.Client, 0)
		if ended {
			return f.close(x, c.Trailers())
		}
	}
}

// close ends the response. The trailers of a call are its metadata, and pass as
// they came.
func (f *Forwarder) close(x *filter.Exchange, trailers *message.Head) error {
	f.endCall(x, trailers)
	if trailers != nil && !x.Hop.GRPC {
		trailers.StripTrailers(message.OfResponse)
	}
	return x.Writer.End(trailers)
}

// Decorate adds the proxy's own fields to a response: Date, Via, Proxy-Status and
// Server-Timing, after the changes of the route and the target. h.FirstByte is set by then.
func (f *Forwarder) Decorate(x *filter.Exchange, r *message.Head) {
	h := x.Hop
	for _, c := range x.Changes {
		c.Apply(r, h, &x.Request, r)
	}
	f.note(x)
	f.date(r, h.Start, h.FirstByte)
	if f.Via != "" {
		r.Add(message.Via, "via", f.via[r.Version])
	}
	switch f.ProxyStatusMode {
	case Append:
		r.EndField(message.ProxyStatus, f.ProxyStatus.Append(r.BeginField("proxy-status"), h))
	case Cut:
		r.Remove(message.ProxyStatus)
	}
	switch f.ServerTimingMode {
	case Append:
		r.EndField(message.ServerTiming, headers.AppendServerTiming(r.BeginField("server-timing"), h, now(h)))
	case Cut:
		r.Remove(message.ServerTiming)
	}
	if len(f.Record) > 0 {
		f.recordFields(h, r, true)
	}
}
