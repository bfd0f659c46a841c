package forward

import (
	"fmt"
	"math/rand/v2"

	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/tracecontext"
)

// send takes a request to its destination and its response back: by one attempt,
// or by as many as its policy lets it have.
func (f *Forwarder) send(x *filter.Exchange, d *destination) error {
	http1.StripHopByHop(&x.Request)
	content, whole := x.Down.Whole()
	cl := d.route.Cluster
	if err := cl.Enter(); err != nil {
		return err
	}
	defer cl.Leave()
	f.expect(x, d)
	if whole && d.timeout > 0 {
		d.until = x.Hop.Routed + d.timeout
	}
	f.prepare(x, d)
	d.nameless = d.route.Host == "" && !x.Request.Has(message.Host)
	b := body{content: content, whole: whole, keep: d.retry.keep()}
	return d.late(x.Hop, f.attempts(x, d, &b))
}

// attempts makes attempts until one has the response, or none may follow, and
// takes the response to the client.
func (f *Forwarder) attempts(x *filter.Exchange, d *destination, b *body) error {
	t := tries{cluster: d.route.Cluster}
	defer t.leave()
	if budget := d.retry.budget(); budget != nil {
		budget.Deposit()
	}
	for {
		w, err := f.fetch(x, d, b, &t)
		again := f.repeats(x, d, b, &t, fault.Of(err))
		switch {
		case err != nil:
			f.give(x, &w, fault.Of(err))
			if !again {
				return err
			}
		case !again:
			return f.relay(x, d, &w, b)
		default:
			f.discard(x, &w)
		}
		if err := f.backOff(x, d, &t); err != nil {
			return err
		}
	}
}

// fetch gets the head of a response: by an attempt, or by several that race.
func (f *Forwarder) fetch(x *filter.Exchange, d *destination, b *body, t *tries) (way, error) {
	e, err := f.pick(x, d)
	switch {
	case err != nil:
		return way{}, err
	case d.hedges(x, b):
		w, sent, err := f.race(x, *d, *b, e)
		t.n += sent - 1
		return w, err
	}
	return f.try(x, d, b, e)
}

// pick chooses the endpoint of the next attempt; nil is the one that the request
// itself named.
func (f *Forwarder) pick(x *filter.Exchange, d *destination) (*cluster.Endpoint, error) {
	if d.fixed != nil {
		return nil, nil
	}
	x.Pick.Random, x.Pick.Now = rand.Uint64(), f.Shared.Now()
	e, err := d.route.Cluster.Pick(&x.Pick)
	if err == nil {
		x.Pick.Tried = append(x.Pick.Tried, e.Load)
	}
	return e, err
}

// try makes an attempt at an endpoint. If it was on a connection that turns out to
// be stale, or if the endpoint refused it without looking at it, it is made once
// more on a new one: at another endpoint, should there be one, as this one may be
// about to die, whose connections are the first to tell.
func (f *Forwarder) try(x *filter.Exchange, d *destination, b *body, e *cluster.Endpoint) (w way, err error) {
	w.endpoint = e
	err = f.once(x, d, &w, b, true)
	// An HTTP/2 connection that was closed while idle is known to be.
	reused := w.stream != nil && w.stream.Reused() && w.stream.Version() != hop.HTTP2
	if err == nil || d.lost() || !again(err, reused, b, &x.Request) {
		return w, err
	}
	b.settle(x, d)
	f.give(x, &w, fault.Of(err))
	if fault.Of(err).Kind == fault.UpstreamRefused || !x.Pick.Hashed { // hashes are for staying at one
		if e, err = f.pick(x, d); err != nil {
			return way{}, err
		}
	}
	w = way{endpoint: e}
	err = f.once(x, d, &w, b, false)
	return w, err
}

// once is an attempt: to its endpoint, and until its response has begun. pooled lets
// the connection be one that was used before.
func (f *Forwarder) once(x *filter.Exchange, d *destination, w *way, b *body, pooled bool) error {
	if err := f.reach(x, d, b, w, pooled); err != nil {
		return err
	}
	if d.context != nil {
		return f.ask(x, d, w, b)
	}
	return f.attempt(x, d, w, b)
}

// again reports whether the request may be sent once more at once, on a new
// connection: nothing of it was lost, and the endpoint can't have begun to carry it
// out, or may do so twice.
func again(err error, reused bool, b *body, r *message.Head) bool {
	kind := fault.Of(err).Kind
	switch {
	case kind == fault.UpstreamRefused: // RFC 9113 section 8.7
		return b.replayable() // or content is gone
	case b.whole && (kind == fault.UpstreamClosed || kind == fault.UpstreamReset): // as a pooled connection fails that was closed while idle
		return reused && (!b.started || r.Method.Idempotent())
	}
	return false
}

// reach opens an attempt, and a connection to its endpoint.
func (f *Forwarder) reach(x *filter.Exchange, d *destination, b *body, w *way, pooled bool) (err error) {
	h, cl := x.Hop, d.route.Cluster
	endpoint := d.fixed
	if endpoint == nil {
		endpoint = w.endpoint.Endpoint
	}
	a := h.Attempt()
	a.Span = tracecontext.NewSpanID(rand.Uint64())
	a.Cluster, a.Endpoint = cl.Name, endpoint.Address
	a.Start = h.Routed
	if len(h.Attempts) > 1 {
		a.Start = now(h)
	}
	d.ask(x, cl.Group.Scheme(), a.Endpoint)
	w.begin(f.clock(h, a.Start))
	ctx := d.context
	if ctx == nil {
		ctx = f.Context
	}
	giveUp := f.deadline(h, d, a.Start)
	if pooled {
		once := !b.whole || !x.Request.Method.Idempotent()
		w.stream, err = cl.Group.Acquire(ctx, endpoint, w.began, giveUp, once)
	} else {
		w.stream, err = cl.Group.Fresh(ctx, endpoint, w.began, giveUp)
	}
	if err != nil {
		w.stream = nil
		return d.timedOut(h, err)
	}
	c := w.stream
	a.Version, a.TLS = c.Version(), c.TLS()
	a.Reused, a.Connected = c.Reused(), a.Start
	if !a.Reused {
		a.Connected = now(h)
	}
	return nil
}

// attempt sends the request and waits for the head of the final response.
func (f *Forwarder) attempt(x *filter.Exchange, d *destination, w *way, b *body) error {
	h, r, c := x.Hop, &x.Request, w.stream
	a := h.LastAttempt()
	f.tell(x, d)
	f.inject(x, a.Span)
	d.nameHost(&x.Request, a.Endpoint)
	if err := f.shorten(x, d); err != nil {
		return err
	}
	upgrade(x, c.Version())
	c.Watch(x.Down.Gone())
	a.Sent = a.Connected
	var err error
	if b.whole {
		c.Await(f.clock(h, a.Sent), f.deadline(h, d, a.Start), f.StreamIdleTimeout)
		b.started, err = c.RoundTrip(r, b.content, &x.Response)
		if b.started {
			a.BytesSent = int64(len(b.content))
		}
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
		b.stop(x, d)
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

// nameHost sets the Host field as the attempt is to have it.
func (d *destination) nameHost(r *message.Head, endpoint string) {
	if host := d.hostOf(endpoint); host != "" {
		r.Replace(message.Host, host)
	}
}

// hostOf is the host that the route wants an attempt to ask for: its own, or the
// endpoint's address, also where an HTTP/1.0 client sent none, which HTTP/1.1 requires;
// "" is the one that the client asked for.
func (d *destination) hostOf(endpoint string) string {
	if d.nameless || d.route.Host == "endpoint" {
		return endpoint
	}
	return d.route.Host
}

// ask notes what the last attempt asks for.
func (d *destination) ask(x *filter.Exchange, scheme, endpoint string) {
	r := &x.Request
	x.Hop.Ask(scheme, r.Host(), r.Path(), r.Query())
	if host := d.hostOf(endpoint); host != "" {
		x.Hop.AskHost(host)
	}
}
