package forward

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/upstream"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/tracecontext"
)

// send takes a request to its destination and its response back. There is one
// attempt, and one more at once where a pooled connection turns out to have
// been closed before it was used.
func (f *Forwarder) send(x *filter.Exchange, d destination) error {
	r := &x.Request
	http1.StripHopByHop(r)
	content, whole := x.Down.Whole()
	x.Hop.BytesIn = int64(len(content))
	d.expires = expiry(x)
	body := body{content: content, whole: whole}
	for first := true; ; first = false {
		c, err := f.acquire(x, d, first)
		if err != nil {
			return err
		}
		err = f.attempt(x, d, c, &body)
		if err == nil {
			return d.late(x.Hop, f.relay(x, c, &body))
		}
		// An HTTP/2 connection that was closed while idle is known to be.
		reused := c.Reused() && c.Version() != hop.HTTP2
		c.Release(0, false)
		if !again(err, first, reused, &body, r) {
			return d.late(x.Hop, err)
		}
		f.fail(x.Hop, fault.Of(err))
	}
}

// again reports whether the request may be sent once more at once: nothing of it
// was lost, and the endpoint can't have begun to carry it out, or may do so
// twice.
func again(err error, first, reused bool, b *body, r *message.Head) bool {
	kind := fault.Of(err).Kind
	switch {
	case !first || !b.whole && b.started: // content is gone
	case kind == fault.UpstreamRefused: // RFC 9113 section 8.7
		return true
	case b.whole && (kind == fault.UpstreamClosed || kind == fault.UpstreamReset): // as a pooled connection fails that was closed while idle
		return reused && (!b.started || r.Method.Idempotent())
	}
	return false
}

// acquire opens an attempt: an endpoint, and a connection to it.
func (f *Forwarder) acquire(x *filter.Exchange, d destination, pooled bool) (upstream.Stream, error) {
	h, cl := x.Hop, d.route.Cluster
	endpoint, err := d.fixed, error(nil)
	if endpoint == nil {
		if endpoint, err = cl.Pick(); err != nil {
			return nil, err
		}
	}
	a := h.Attempt()
	a.Span = tracecontext.NewSpanID(rand.Uint64())
	a.Cluster, a.Endpoint = cl.Name, endpoint.Address
	a.Start = h.Routed
	if len(h.Attempts) > 1 {
		a.Start = now(h)
	}
	var c upstream.Stream
	at, giveUp := f.clock(h, a.Start), f.deadline(h, d, a.Start)
	if pooled {
		_, whole := x.Down.Whole()
		once := !whole || !x.Request.Method.Idempotent()
		c, err = cl.Group.Acquire(f.Context, endpoint, at, giveUp, once)
	} else {
		c, err = cl.Group.Fresh(f.Context, endpoint, at, giveUp)
	}
	if err != nil {
		return nil, err
	}
	a.Version, a.TLS = c.Version(), c.TLS()
	a.Reused, a.Connected = c.Reused(), a.Start
	if !a.Reused {
		a.Connected = now(h)
	}
	return c, nil
}

// deadline is when the request's time is up if the route's begins to run at the
// given instant of the Hop; 0 is never. It is on the clock of deadlines.
func (f *Forwarder) deadline(h *hop.Hop, d destination, from time.Duration) time.Duration {
	by := d.expires
	if t := d.route.Timeout; t > 0 && (by == 0 || from+t < by) {
		by = from + t
	}
	if by == 0 {
		return 0
	}
	return f.clock(h, by)
}

// attempt sends the request and waits for the head of the final response.
func (f *Forwarder) attempt(x *filter.Exchange, d destination, c upstream.Stream, b *body) error {
	h, r := x.Hop, &x.Request
	a := h.LastAttempt()
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
		c.Await(f.clock(h, a.Sent), f.deadline(h, d, a.Sent), f.StreamIdleTimeout)
		b.started, err = c.RoundTrip(r, b.content, &x.Response)
	} else if err = c.Send(r); err == nil {
		b.started, b.upload = true, f.startUpload(x, d, c)
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
		return err
	}
	a.FirstByte = now(h)
	a.Status = x.Response.Status
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
