package forward

import (
	"context"
	"fmt"
	"time"

	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/header"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/upstream"
	"github.com/hopscope/hopscope/telemetry/active"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/tracecontext"
)

// attempt is one try at one endpoint: its stream, what it still has to send, and what
// ends it. It ends once: by finish, fail or discard.
type attempt struct {
	d        *delivery
	x        *filter.Exchange  // the delivery's, or its own in a race
	endpoint *cluster.Endpoint // nil where the request itself named it
	stream   upstream.Stream   // nil where there is no connection
	upload   *upload           // sends the content; nil where it went out with the head
	began    time.Duration     // on the clock of deadlines
	answered bool              // the endpoint's load knows how long it took
	begun    bool              // the endpoint may have a part of the request
	// race ends when the attempt is not wanted any more; nil for one that is alone.
	race context.Context
}

// Upstream is a hook that sees each attempt just before its head goes out, and may change
// the head. a is what is recorded of the attempt.
type Upstream func(x *filter.Exchange, a *hop.Attempt) error

// lost reports whether the attempt is not wanted any more.
func (a *attempt) lost() bool { return a.race != nil && a.race.Err() != nil }

// try makes the attempt at an endpoint. If the endpoint can't have begun to carry the
// request out, try makes the attempt again at once on a new connection. It prefers another
// endpoint, since this one may be about to die: its connections are the first to go.
func (a *attempt) try(e *cluster.Endpoint) (err error) {
	d := a.d
	defer d.f.rescue(a.x, "an attempt", &err)
	for n := 1; ; n++ {
		a.begin(e)
		if err = a.open(n == 1); err == nil {
			err = a.carryOut()
		}
		why := fault.Of(err)
		switch {
		case err == nil, a.lost(), !a.untouched(why.Kind),
			n == redispatches, n > 1 && d.retry.failure(why), // which is the policy's to repeat
			!d.content.hold():
			return err
		}
		a.fail(why)
		if why.Kind == fault.UpstreamRefused || !a.x.Pick.Hashed { // hashes are for staying at one
			if e, err = d.pick(a.x); err != nil {
				return err
			}
		}
	}
}

// begin makes it a new attempt at an endpoint.
func (a *attempt) begin(e *cluster.Endpoint) {
	d, x, race := a.d, a.x, a.race
	*a = attempt{} // with its fields in the literal, all of it would be made on the stack and copied
	a.d, a.x, a.race, a.endpoint = d, x, race, e
}

// untouched reports whether the request may be sent again at once, without any policy:
// because the endpoint can't have begun to carry it out, or because the request is
// idempotent.
func (a *attempt) untouched(k fault.Kind) bool {
	switch k {
	case fault.UpstreamRefused: // RFC 9113 section 8.7
		return true
	case fault.UpstreamClosed, fault.UpstreamReset:
		// As a pooled connection fails that was closed while idle (RFC 9112 section
		// 9.3.1). One of HTTP/2 is known to be closed, or says what it did not take.
		stale := a.stream != nil && a.stream.Reused() && a.stream.Version() != hop.HTTP2
		return stale && (!a.begun || a.x.Request.Method.Idempotent())
	}
	return false
}

// open begins the record of the attempt, and gets a connection to its endpoint: a pooled
// one if there is any, unless pooled is false.
func (a *attempt) open(pooled bool) (err error) {
	d, x := a.d, a.x
	h, cl := x.Hop, d.target.Cluster
	connections, endpoint := cl.Connections(d.action.Priority), d.fixed
	if endpoint == nil {
		endpoint = a.endpoint.Of(d.action.Priority)
	}
	record := h.Attempt()
	record.Span = tracecontext.NewSpanID(x.Random())
	record.Cluster, record.Endpoint = cl.Name, endpoint.Address
	record.Start = h.Routed
	if len(h.Attempts) > 1 {
		record.Start = now(h)
	}
	h.Ask(connections.Scheme(), x.Request.Host(), x.Request.Path(), x.Request.Query())
	if host := d.hostOf(record.Endpoint); host != "" {
		h.AskHost(host)
	}
	d.note(record.Span, endpoint.Address, record.Start)
	a.count(clock(x, record.Start))
	ctx := a.race
	if ctx == nil {
		ctx = d.f.Context
	}
	giveUp := d.deadline(record.Start)
	if pooled {
		once := !d.content.whole() || !x.Request.Method.Idempotent()
		a.stream, err = connections.Acquire(ctx, endpoint, a.began, giveUp, once)
	} else {
		a.stream, err = connections.Fresh(ctx, endpoint, a.began, giveUp)
	}
	if err != nil {
		a.stream = nil
		return a.timedOut(err)
	}
	s := a.stream
	record.Version, record.TLS = s.Version(), s.TLS()
	record.Reused, record.Connected = s.Reused(), record.Start
	if !record.Reused {
		record.Connected = now(h)
	}
	return nil
}

// carryOut sends the request and waits for the head of the final response. In a race the
// stream is closed when the attempt has lost.
func (a *attempt) carryOut() (err error) {
	if a.race == nil {
		return a.exchange()
	}
	s, closed := a.stream, make(chan struct{})
	stop := context.AfterFunc(a.race, func() {
		s.Close()
		close(closed)
	})
	defer func() {
		if stop() {
			return
		}
		<-closed // it is closed before it is released
		if err == nil {
			err = fault.New(fault.UpstreamClosed, "the connection was closed when its response began")
		}
	}()
	return a.exchange()
}

// exchange sends the request and waits for the head of the final response.
func (a *attempt) exchange() error {
	d, x := a.d, a.x
	h, r := x.Hop, &x.Request
	record := h.LastAttempt()
	if err := a.prepare(record); err != nil {
		return err
	}
	a.stream.Watch(x.Conn.Gone())
	record.Sent = record.Connected
	d.x.Active.Wait(active.FirstByte, record.Sent)
	err := a.send()
	if err == nil {
		err = a.final()
	}
	if err == nil && x.Response.Framing == message.Tunnel && !r.Upgrade {
		err = fault.New(fault.UpstreamProtocol, record.Endpoint+" changed protocols (101), which the request did not ask for")
	}
	if err == nil && unswitched(r, &x.Response) {
		err = fault.New(fault.UpstreamProtocol, fmt.Sprintf("%s answered %d where the request asked to change protocols: to an HTTP/2 client that would say that it has changed them", record.Endpoint, x.Response.Status))
	}
	d.countTime()
	if err = a.cause(err); err != nil {
		return a.timedOut(err)
	}
	record.FirstByte = now(h)
	record.Status = x.Response.Status
	a.answer(clock(x, record.FirstByte), record.Status < 500)
	return nil
}

// prepare makes the request's head what the endpoint is to see in this attempt.
func (a *attempt) prepare(record *hop.Attempt) error {
	d, x := a.d, a.x
	d.tell(x)
	d.f.inject(x, record.Span)
	if host := d.hostOf(record.Endpoint); host != "" {
		x.Request.Replace(message.Host, host)
	}
	if err := d.shorten(x); err != nil {
		return err
	}
	for _, c := range [...]*header.Changes{d.action.Request, d.target.Request} {
		c.ApplyLate(&x.Request, x.Hop)
	}
	upgrade(x, a.stream.Version())
	for _, hook := range d.action.Upstream {
		if err := hook(x, record); err != nil {
			return err
		}
	}
	return nil
}

// send sends the request and waits for the first head of its response. What the
// endpoint does not take at once, and what the client has yet to send, goes out by an
// upload meanwhile.
func (a *attempt) send() error {
	x, s, b := a.x, a.stream, a.d.content
	r, record := &x.Request, x.Hop.LastAttempt()
	a.await()
	var first []byte
	var sent upstream.Sent
	var err error
	if b.whole() {
		first, sent, err = s.RoundTrip(r, b.here, &x.Response)
		if sent != upstream.Nothing {
			record.BytesSent = int64(len(b.here) - len(first))
		}
	} else {
		first = b.from.kept
		if b.from.read > 0 {
			uninvite(r)
		}
		sent, err = s.Send(r)
	}
	a.begun = sent != upstream.Nothing
	if err != nil || b.whole() && sent == upstream.All {
		return err
	}
	a.begun = true
	a.startUpload(first)
	s.Watch(a.upload.watch(x.Conn.Gone()))
	return s.ReadHead(r.Method, &x.Response)
}

// unswitched reports whether a response to an extended CONNECT can't be sent on: a
// success that changes no protocol, which HTTP/2 has no way to say (RFC 8441
// section 5).
func unswitched(r, response *message.Head) bool {
	return r.Upgrade && r.Version == hop.HTTP2 && response.Framing != message.Tunnel &&
		response.Status >= 200 && response.Status < 300
}
