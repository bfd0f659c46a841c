package forward

import (
	"fmt"
	"math/rand/v2"

	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/upstream"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/tracecontext"
)

// send takes a request to its destination and its response back: by one attempt,
// or by as many as its policy lets it have.
func (f *Forwarder) send(x *filter.Exchange, d *destination) error {
	http1.StripHopByHop(&x.Request)
	here, whole := x.Body.Whole()
	cl := d.target.Cluster
	if err := cl.Enter(); err != nil {
		return err
	}
	defer cl.Leave()
	f.expect(x, d)
	if whole && d.timeout > 0 {
		d.until = x.Hop.Routed + d.timeout
	}
	f.prepare(x, d)
	d.nameless = d.forward.Host == "" && !x.Request.Has(message.Host)
	b := content{here: here}
	if !whole {
		b.from = &source{body: x.Body, account: x.Conn.Info().Account, start: x.Hop.Start, most: d.retry.keep(), over: make(chan struct{})}
		defer b.forget()
	}
	return d.late(x.Hop, f.attempts(x, d, b))
}

// attempts makes attempts until one has the response, or none may follow, and
// takes the response to the client.
func (f *Forwarder) attempts(x *filter.Exchange, d *destination, b content) error {
	t := tries{cluster: d.target.Cluster}
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
			return f.relay(x, d, &w)
		default:
			f.discard(x, &w)
		}
		if err := f.backOff(x, d, &t); err != nil {
			return err
		}
	}
}

// fetch gets the head of a response: by an attempt, or by several that race.
func (f *Forwarder) fetch(x *filter.Exchange, d *destination, b content, t *tries) (way, error) {
	e, err := f.pick(x, d)
	switch {
	case err != nil:
		return way{}, err
	case d.hedges(x, b):
		w, sent, err := f.race(x, *d, b, e)
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
	h := x.Hop
	at := h.Routed // a moment ago
	if len(h.Attempts) > 0 {
		at = now(h)
	}
	x.Pick.Random, x.Pick.Now = rand.Uint64(), f.clock(h, at)
	e, err := d.target.Cluster.Pick(&x.Pick)
	if err == nil {
		x.Pick.Tried = append(x.Pick.Tried, e.Load)
	}
	return e, err
}

// try makes an attempt at an endpoint. If that turns out not to have begun to carry
// the request out, the attempt is made again at once, on another connection: at
// another endpoint, should there be one, as this one may be about to die, whose
// connections are the first to tell.
func (f *Forwarder) try(x *filter.Exchange, d *destination, b content, e *cluster.Endpoint) (w way, err error) {
	defer f.rescue(x, "an attempt", &err)
	for n := 1; ; n++ {
		w = way{endpoint: e}
		err = f.once(x, d, &w, b, n == 1)
		why := fault.Of(err)
		switch {
		case err == nil, d.lost(), !again(why.Kind, &w, &x.Request),
			n == redispatches, n > 1 && d.retry.failure(why), // which is the policy's to repeat
			!b.hold():
			return w, err
		}
		f.give(x, &w, why)
		if why.Kind == fault.UpstreamRefused || !x.Pick.Hashed { // hashes are for staying at one
			if e, err = f.pick(x, d); err != nil {
				return way{}, err
			}
		}
	}
}

// once is an attempt: to its endpoint, and until its response has begun. pooled lets
// the connection be one that was used before.
func (f *Forwarder) once(x *filter.Exchange, d *destination, w *way, b content, pooled bool) error {
	if err := f.reach(x, d, b, w, pooled); err != nil {
		return err
	}
	if d.context != nil {
		return f.ask(x, d, w, b)
	}
	return f.attempt(x, d, w, b)
}

// again reports whether a request may be sent once more at once, with no policy that
// says so: the endpoint can't have begun to carry it out, or may do so twice.
func again(k fault.Kind, w *way, r *message.Head) bool {
	switch k {
	case fault.UpstreamRefused: // RFC 9113 section 8.7
		return true
	case fault.UpstreamClosed, fault.UpstreamReset:
		// As a pooled connection fails that was closed while idle (RFC 9112 section
		// 9.3.1). One of HTTP/2 is known to be closed, or says what it did not take.
		stale := w.stream != nil && w.stream.Reused() && w.stream.Version() != hop.HTTP2
		return stale && (!w.begun || r.Method.Idempotent())
	}
	return false
}

// reach opens an attempt, and a connection to its endpoint.
func (f *Forwarder) reach(x *filter.Exchange, d *destination, b content, w *way, pooled bool) (err error) {
	h, cl := x.Hop, d.target.Cluster
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
		once := !b.whole() || !x.Request.Method.Idempotent()
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
func (f *Forwarder) attempt(x *filter.Exchange, d *destination, w *way, b content) error {
	h, r, c := x.Hop, &x.Request, w.stream
	a := h.LastAttempt()
	f.tell(x, d)
	f.inject(x, a.Span)
	d.nameHost(&x.Request, a.Endpoint)
	if err := f.shorten(x, d); err != nil {
		return err
	}
	upgrade(x, c.Version())
	c.Watch(x.Conn.Gone())
	a.Sent = a.Connected
	err := f.request(x, d, w, b)
	if err == nil {
		err = f.final(x, d, w)
	}
	if err == nil && x.Response.Framing == message.Tunnel && !r.Upgrade {
		err = fault.New(fault.UpstreamProtocol, a.Endpoint+" changed protocols (101), which the request did not ask for")
	}
	if err == nil && unswitched(r, &x.Response) {
		err = fault.New(fault.UpstreamProtocol, fmt.Sprintf("%s answered %d where the request asked to change protocols: to an HTTP/2 client that would say that it has changed them", a.Endpoint, x.Response.Status))
	}
	d.count(b)
	if err = w.cause(x, err); err != nil {
		return d.timedOut(h, err)
	}
	a.FirstByte = now(h)
	a.Status = x.Response.Status
	w.answer(f.clock(h, a.FirstByte), a.Status < 500)
	return nil
}

// request sends the request and waits for the first head of its response. What the
// endpoint does not take at once, and what the client has yet to send, goes out by an
// upload meanwhile.
func (f *Forwarder) request(x *filter.Exchange, d *destination, w *way, b content) error {
	h, r, c := x.Hop, &x.Request, w.stream
	a := h.LastAttempt()
	f.await(h, d, c, b)
	var first []byte
	var sent upstream.Sent
	var err error
	if b.whole() {
		first, sent, err = c.RoundTrip(r, b.here, &x.Response)
		if sent != upstream.Nothing {
			a.BytesSent = int64(len(b.here) - len(first))
		}
	} else {
		first = b.from.kept
		if b.from.read > 0 {
			uninvite(r)
		}
		sent, err = c.Send(r)
	}
	w.begun = sent != upstream.Nothing
	if err != nil || b.whole() && sent == upstream.All {
		return err
	}
	w.begun = true
	f.startUpload(x, d, w, b.from, first)
	c.Watch(w.upload.watch(x.Conn.Gone()))
	return c.ReadHead(r.Method, &x.Response)
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
	if d.nameless || d.forward.Host == "endpoint" {
		return endpoint
	}
	return d.forward.Host
}

// ask notes what the last attempt asks for.
func (d *destination) ask(x *filter.Exchange, scheme, endpoint string) {
	r := &x.Request
	x.Hop.Ask(scheme, r.Host(), r.Path(), r.Query())
	if host := d.hostOf(endpoint); host != "" {
		x.Hop.AskHost(host)
	}
}
