package forward

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/outlier"
	"github.com/hopscope/hopscope/proxy/upstream"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/tracecontext"
)

// send takes a request to its destination and its response back: by one attempt,
// or by as many as its policy lets it have.
func (f *Forwarder) send(x *filter.Exchange, d *destination) error {
	http1.StripHopByHop(&x.Request)
	content, whole := x.Down.Whole()
	x.Hop.BytesIn = int64(len(content))
	cl := d.route.Cluster
	if err := cl.Enter(); err != nil {
		return err
	}
	defer cl.Leave()
	f.expect(x, d)
	f.prepare(x, d)
	b := body{content: content, whole: whole, keep: d.retry.keep()}
	return d.late(x.Hop, f.attempts(x, d, &b))
}

// attempts makes attempts until one has the response, or none may follow, and
// takes the response to the client.
func (f *Forwarder) attempts(x *filter.Exchange, d *destination, b *body) error {
	t := tries{cluster: d.route.Cluster}
	defer t.leave()
	for pooled := true; ; {
		w, err := f.reach(x, d, b, pooled)
		if err == nil {
			err = f.attempt(x, d, &w, b)
		}
		if err == nil {
			if !f.repeats(x, d, b, &t, nil) {
				return f.relay(x, d, &w, b)
			}
			f.discard(x, &w, b)
		} else {
			// An HTTP/2 connection that was closed while idle is known to be.
			reused := w.stream != nil && w.stream.Reused() && w.stream.Version() != hop.HTTP2
			if pooled && again(err, reused, b, &x.Request) {
				pooled = false
				b.replay(x, d)
				f.give(x, &w, fault.Of(err))
				continue
			}
			if !f.repeats(x, d, b, &t, fault.Of(err)) {
				f.give(x, &w, fault.Of(err))
				return err
			}
			f.give(x, &w, fault.Of(err))
		}
		pooled = true
		if err := f.backOff(x, d, &t); err != nil {
			return err
		}
	}
}

// again reports whether the request may be sent once more at once, on a new
// connection: nothing of it was lost, and the endpoint can't have begun to carry it
// out, or may do so twice.
func again(err error, reused bool, b *body, r *message.Head) bool {
	kind := fault.Of(err).Kind
	switch {
	case !b.replayable(): // content is gone
	case kind == fault.UpstreamRefused: // RFC 9113 section 8.7
		return true
	case b.whole && (kind == fault.UpstreamClosed || kind == fault.UpstreamReset): // as a pooled connection fails that was closed while idle
		return reused && (!b.started || r.Method.Idempotent())
	}
	return false
}

// way is an attempt's way to its endpoint.
type way struct {
	stream   upstream.Stream   // nil where there is no connection
	endpoint *cluster.Endpoint // nil where the request itself named it
	began    time.Duration     // on the clock of deadlines
	answered bool              // the endpoint's load knows how long it took
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

// judge is what an attempt says of its endpoint; false where it says nothing, as
// when the client went away.
func judge(a *hop.Attempt) (outlier.Result, bool) {
	switch {
	case a.Flags&hop.Failures != 0 || a.ProxyError != "":
		return outlier.LocalOrigin, true
	case a.Flags != 0:
		return 0, false
	case a.Status >= 502 && a.Status <= 504, a.GRPCStatus == hop.GRPCStatusOf(14): // UNAVAILABLE
		return outlier.GatewayError, true
	case a.Status >= 500, a.GRPCStatus.ServerError():
		return outlier.Error5xx, true
	}
	return outlier.Success, true
}

// reach opens an attempt: an endpoint, and a connection to it.
func (f *Forwarder) reach(x *filter.Exchange, d *destination, b *body, pooled bool) (w way, err error) {
	h, cl := x.Hop, d.route.Cluster
	endpoint := d.fixed
	if endpoint == nil {
		x.Pick.Random, x.Pick.Now = rand.Uint64(), f.Shared.Now()
		if w.endpoint, err = cl.Pick(&x.Pick); err != nil {
			return w, err
		}
		endpoint = w.endpoint.Endpoint
		x.Pick.Tried = append(x.Pick.Tried, w.endpoint.Load)
	}
	a := h.Attempt()
	a.Span = tracecontext.NewSpanID(rand.Uint64())
	a.Cluster, a.Endpoint = cl.Name, endpoint.Address
	a.Start = h.Routed
	if len(h.Attempts) > 1 {
		a.Start = now(h)
	}
	w.began = f.clock(h, a.Start)
	if w.endpoint != nil {
		w.endpoint.Begin(w.began)
	}
	giveUp := f.deadline(h, d, a)
	if pooled {
		once := !b.whole || !x.Request.Method.Idempotent()
		w.stream, err = cl.Group.Acquire(f.Context, endpoint, w.began, giveUp, once)
	} else {
		w.stream, err = cl.Group.Fresh(f.Context, endpoint, w.began, giveUp)
	}
	if err != nil {
		w.stream = nil
		return w, d.timedOut(h, err)
	}
	c := w.stream
	a.Version, a.TLS = c.Version(), c.TLS()
	a.Reused, a.Connected = c.Reused(), a.Start
	if !a.Reused {
		a.Connected = now(h)
	}
	return w, nil
}

// attempt sends the request and waits for the head of the final response.
func (f *Forwarder) attempt(x *filter.Exchange, d *destination, w *way, b *body) error {
	h, r, c := x.Hop, &x.Request, w.stream
	a := h.LastAttempt()
	f.tell(x, d)
	f.inject(x, a.Span)
	f.host(x, d.route, a.Endpoint)
	if err := f.shorten(x, d); err != nil {
		return err
	}
	upgrade(x, c.Version())
	c.Watch(x.Down.Gone())
	a.Sent = a.Connected
	var err error
	if b.whole {
		a.BytesSent = int64(len(b.content))
		c.Await(f.clock(h, a.Sent), f.deadline(h, d, a), f.StreamIdleTimeout)
		b.started, err = c.RoundTrip(r, b.content, &x.Response)
	} else if err = c.Send(r); err == nil {
		b.started, b.upload = true, f.startUpload(x, d, c, b.keep)
		err = c.ReadHead(r.Method, &x.Response)
	}
	for err == nil && x.Response.Status < 200 && x.Response.Framing != message.Tunnel {
		http1.StripHopByHop(&x.Response)
		if err = x.Down.Interim(&x.Response); err == nil {
			err = c.ReadHead(r.Method, &x.Response)
		}
	}
	if err == nil && x.Response.Framing == message.Tunnel && !r.Upgrade {
		err = fault.New(fault.UpstreamProtocol, a.Endpoint+" changed protocols (101), which the request did not ask for")
	}
	if err == nil && unswitched(r, &x.Response) {
		err = fault.New(fault.UpstreamProtocol, fmt.Sprintf("%s answered %d where the request asked to change protocols: to an HTTP/2 client that would say that it has changed them", a.Endpoint, x.Response.Status))
	}
	if err = b.cause(x, err); err != nil {
		b.stop(x)
		return d.timedOut(h, err)
	}
	a.FirstByte = now(h)
	a.Status = x.Response.Status
	w.answer(f.clock(h, a.FirstByte), a.Status < 500)
	return nil
}

// unswitched reports whether a response to an extended CONNECT can't be sent on: a
// success that changes no protocol, which HTTP/2 has no way to say (RFC 8441
// section 5).
func unswitched(r, response *message.Head) bool {
	return r.Upgrade && r.Version == hop.HTTP2 && response.Framing != message.Tunnel &&
		response.Status >= 200 && response.Status < 300
}

// host sets the Host field as the route wants it, and to the endpoint's address
// where an HTTP/1.0 client sent none, which HTTP/1.1 requires.
func (f *Forwarder) host(x *filter.Exchange, route *Route, endpoint string) {
	host := route.Host
	switch {
	case host == "endpoint", host == "" && !x.Request.Has(message.Host):
		host = endpoint
	case host == "":
		return
	}
	x.Request.Replace(message.Host, host)
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
