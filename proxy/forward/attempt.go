package forward

import (
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
	body := body{content: content, whole: whole}
	for first := true; ; first = false {
		c, err := f.acquire(x, d, first)
		if err != nil {
			return err
		}
		err = f.attempt(x, d, c, &body)
		if err == nil {
			return f.relay(x, c, &body)
		}
		c.Release(0, false)
		if !first || !body.whole || !c.Reused || !stale(err) || body.started && !r.Method.Idempotent() {
			return err
		}
		f.fail(x.Hop, fault.Of(err))
	}
}

// stale reports whether err is how a pooled connection fails that the endpoint
// had closed while it was idle.
func stale(err error) bool {
	k := fault.Of(err).Kind
	return k == fault.UpstreamClosed || k == fault.UpstreamReset
}

// acquire opens an attempt: an endpoint, and a connection to it.
func (f *Forwarder) acquire(x *filter.Exchange, d destination, pooled bool) (*upstream.Conn, error) {
	h, cl := x.Hop, d.route.Cluster
	endpoint, err := d.fixed, error(nil)
	if endpoint == nil {
		if endpoint, err = cl.Pick(); err != nil {
			return nil, err
		}
	}
	a := h.Attempt()
	a.Span = tracecontext.NewSpanID(rand.Uint64())
	a.Cluster, a.Endpoint, a.Version = cl.Name, endpoint.Address, hop.HTTP11
	a.Start = h.Routed
	if len(h.Attempts) > 1 {
		a.Start = now(h)
	}
	var c *upstream.Conn
	at, giveUp := f.clock(h, a.Start), f.deadline(h, d.route, a.Start)
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
	a.Reused, a.Connected = c.Reused, a.Start
	if !c.Reused {
		a.Connected = now(h)
	}
	return c, nil
}

// deadline is when the route's time is up if it begins to run at the given
// instant of the Hop; 0 is never. It is on the clock of deadlines.
func (f *Forwarder) deadline(h *hop.Hop, r *Route, from time.Duration) time.Duration {
	if r.Timeout == 0 {
		return 0
	}
	return f.clock(h, from+r.Timeout)
}

// attempt sends the request and waits for the head of the final response.
func (f *Forwarder) attempt(x *filter.Exchange, d destination, c *upstream.Conn, b *body) error {
	h, r := x.Hop, &x.Request
	a := h.LastAttempt()
	f.inject(x, a.Span)
	f.host(x, d.route, a.Endpoint)
	c.Watch(x.Down.Gone())
	a.Sent = a.Connected
	var err error
	if b.whole {
		a.BytesSent = int64(len(b.content))
		c.Await(f.clock(h, a.Sent), f.deadline(h, d.route, a.Sent), f.StreamIdleTimeout)
		b.started, err = c.RoundTrip(r, http1.OriginTarget(r), b.content, &x.Response)
	} else if err = c.Send(r, http1.OriginTarget(r)); err == nil {
		b.started, b.upload = true, f.startUpload(x, d.route, c)
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
	if err = b.cause(err); err != nil {
		b.stop(x)
		return err
	}
	a.FirstByte = now(h)
	a.Status = x.Response.Status
	return nil
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
