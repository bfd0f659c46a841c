package upstream

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/descriptors"
	"github.com/hopscope/hopscope/proxy/evidence"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/http2"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/tlsconf"
)

// Options are a group's limits. All of them must be set, but for those that say what
// nothing means.
type Options struct {
	ConnectTimeout time.Duration
	IdleTimeout    time.Duration // of a pooled connection
	// LearnIdleTimeout keeps a connection's idle time also below the time after which its
	// endpoint closes it, as far as that is known.
	LearnIdleTimeout bool
	MaxConnections   int // open at once, to all endpoints
	MaxPending       int // callers waiting for a connection
	// Breaker is where the configuration has these two, for errors: "circuit_breaker".
	Breaker string
	MaxIdle int          // pooled connections of one endpoint
	Head    http1.Limits // of a response
	// Protocol is the protocol to speak to the endpoints. HTTP2 has the settings of
	// HTTP/2 connections; the group itself fills in Shared, Name, Cluster, Scheme and
	// IdleTimeout.
	Protocol Protocol
	HTTP2    http2.Options
	// TLS encrypts the connections; nil is plain text.
	TLS *tlsconf.Client
	// Dial opens a connection; nil uses [descriptors.Dialer].
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Kernel is asked about connections that don't come about; nil asks nothing.
	Kernel *evidence.Kernel
}

// Group holds what the endpoints of one cluster share. Use [NewGroup].
type Group struct {
	Name string

	options Options
	shared  *netio.Shared

	mu        sync.Mutex
	open      int       // connections that are dialled, in use or idle
	waiters   []*waiter // callers without a connection yet, oldest first
	endpoints map[*Endpoint]struct{}
	dynamic   map[named]*Endpoint // the endpoints of Dynamic
	sweeper   *time.Timer         // nil while no connection is idle
	closed    bool

	dialled, reused, overflow uint64
}

// Stats are a group's counters at one moment.
type Stats struct {
	Active, Idle, Pending     int    // connections in use, connections in the pool, waiting callers
	Dialled, Reused, Overflow uint64 // new connections, uses of pooled ones, refused callers
}

// Endpoint is one address and its pool.
type Endpoint struct {
	// Address is host and port.
	Address string

	group *Group
	guard *Guard // nil allows every address

	// Guarded by group.mu:
	idle     []*Conn    // HTTP/1; the most recently used is last
	sessions []*session // of HTTP/2
	spoken   Protocol   // the protocol of the last connection; Auto if there was none yet
	dialling int        // connections that are being dialled
	active   int        // connections in use, being dialled, or of HTTP/2
	dynamic  bool
	removed  bool      // it was removed from the cluster
	times    idleTimes // after how long it closes idle connections

	doubt atomic.Int64 // times.doubt, or never; 0 at first
}

// sweepEvery is how often idle connections are checked.
const sweepEvery = 5 * time.Second

// checkAfter is how long a connection may be idle and then be used without a check. A
// check is a system call, and a busy proxy does without it: a connection that the
// endpoint closed was nearly always idle for longer, and a response without a request is
// recognised by its time of arrival (see [netio.Conn.Doubt]).
const checkAfter = time.Millisecond

// NewGroup returns a group without endpoints.
func NewGroup(name string, o Options, shared *netio.Shared) *Group {
	if o.Dial == nil {
		o.Dial = descriptors.Dialer(descriptors.Limit, nil).DialContext
	}
	return &Group{
		Name: name, options: o, shared: shared,
		endpoints: map[*Endpoint]struct{}{}, dynamic: map[named]*Endpoint{},
	}
}

// Scheme is "https" if the connections are encrypted, else "http".
func (g *Group) Scheme() string {
	if g.options.TLS != nil {
		return "https"
	}
	return "http"
}

// breaker is where the configuration has the limits.
func (g *Group) breaker() string { return cmp.Or(g.options.Breaker, "circuit_breaker") }

// HeadBytes is the maximum size of a response head.
func (g *Group) HeadBytes() int { return cmp.Or(g.options.Head.HeadBytes, http1.DefaultHeadBytes) }

// Endpoint adds an endpoint to the group.
func (g *Group) Endpoint(address string) *Endpoint {
	e := &Endpoint{Address: address, group: g}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.endpoints[e] = struct{}{}
	return e
}

// named is the key of a dynamic endpoint: an address that a request names, and the guard
// of connections to it.
type named struct {
	address string
	guard   *Guard
}

// Dynamic returns the endpoint for an address that a request names. The group creates it
// when needed and forgets it when it has no connection left. A nil guard allows every
// address.
func (g *Group) Dynamic(address []byte, guard *Guard) *Endpoint {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e := g.dynamic[named{string(address), guard}]; e != nil {
		return e
	}
	e := &Endpoint{Address: string(address), group: g, guard: guard, dynamic: true}
	g.endpoints[e] = struct{}{}
	g.dynamic[e.named()] = e
	return e
}

// named returns the key of a dynamic endpoint.
func (e *Endpoint) named() named { return named{e.Address, e.guard} }

// Remove takes an endpoint out of the group. Idle connections are closed now, connections
// in use when they are released. HTTP/2 connections open no more streams, and end with
// their last one. A request that has already picked the endpoint may still use it, over a
// new connection that is not kept. The group forgets the endpoint when its last
// connection ends.
func (g *Group) Remove(e *Endpoint) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e.removed = true
	g.closeIdle(e)
	for _, s := range e.sessions {
		s.conn.Shutdown()
	}
	g.forget(e)
}

// EndpointState says what an endpoint's pool holds.
type EndpointState struct {
	Address      string
	Active, Idle int
	// ClosesAfter is after how long the endpoint closes idle connections, as was learned;
	// 0 is not known.
	ClosesAfter time.Duration
	// Removed is true for an endpoint that is kept only until its connections end.
	Removed bool
}

// Endpoints returns the state of every endpoint, sorted by address.
func (g *Group) Endpoints() []EndpointState {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]EndpointState, 0, len(g.endpoints))
	for e := range g.endpoints {
		all = append(all, e.state())
	}
	slices.SortFunc(all, func(a, b EndpointState) int { return cmp.Compare(a.Address, b.Address) })
	return all
}

// State returns what the endpoint's pool holds.
func (e *Endpoint) State() EndpointState {
	e.group.mu.Lock()
	defer e.group.mu.Unlock()
	return e.state()
}

func (e *Endpoint) state() EndpointState {
	unused := e.unused()
	return EndpointState{e.Address, e.active - unused, len(e.idle) + unused, e.times.limit, e.removed}
}

// Stats returns the group's counters.
func (g *Group) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := Stats{Pending: len(g.waiters), Dialled: g.dialled, Reused: g.reused, Overflow: g.overflow}
	for e := range g.endpoints {
		s.Idle += len(e.idle) + e.unused()
	}
	s.Active = g.open - s.Idle
	return s
}

// Acquire returns a stream to e: a stream of an HTTP/2 connection, the most recently used
// pooled HTTP/1 connection, or a new connection. now and giveUp are on the group's clock.
// At giveUp Acquire stops waiting for a free or a new connection; 0 leaves it at the
// connect timeout. careful checks a pooled connection before use, for a request that
// can't be sent twice.
func (g *Group) Acquire(ctx context.Context, e *Endpoint, now, giveUp time.Duration, careful bool) (Stream, error) {
	for {
		s, err := g.acquire(ctx, e, now, giveUp, false)
		c, ok := s.(*Conn)
		if !ok || !c.reused || g.usable(c, now, careful) {
			return s, err
		}
		g.discard(c)
	}
}

// usable reports whether a pooled connection may be used. It asks the socket only if that
// is worth a system call.
func (g *Group) usable(c *Conn, now time.Duration, careful bool) bool {
	since := now - c.idleSince
	if since >= g.options.IdleTimeout {
		return false
	}
	c.idled = since
	c.nio.Doubt()
	if !careful && !c.suspect && since < checkAfter {
		return true
	}
	if !c.nio.Quiet() {
		g.noteClosed(c)
		return false
	}
	if int64(since) > c.endpoint.doubt.Load() {
		g.noteOpen(c, since)
	}
	return true
}

// Fresh is Acquire without pooled HTTP/1 connections: it returns a new connection, or a
// stream of an HTTP/2 connection, which is as good as new.
func (g *Group) Fresh(ctx context.Context, e *Endpoint, now, giveUp time.Duration) (Stream, error) {
	return g.acquire(ctx, e, now, giveUp, true)
}

func (g *Group) acquire(ctx context.Context, e *Endpoint, now, giveUp time.Duration, fresh bool) (Stream, error) {
	inTurn := giveUp
	if inTurn == 0 {
		inTurn = now + g.options.ConnectTimeout
	}
	for again := false; ; again = true {
		s, mayDial, w := g.take(e, now, fresh, again)
		if w != nil {
			t, err := g.wait(ctx, w, inTurn)
			switch {
			case err != nil:
				return nil, err
			case t.err != nil:
				return nil, t.err
			case t.conn != nil:
				return t.conn, nil
			case !t.dial:
				continue
			}
			mayDial = true
		}
		switch {
		case s != nil:
			return s, nil
		case mayDial:
			return g.dial(ctx, e, giveUp)
		}
		return nil, fault.New(fault.Overflow, fmt.Sprintf("cluster %s has its %d connections open and %d requests waiting; raise max_connections or max_pending of %s", g.Name, g.options.MaxConnections, g.options.MaxPending, g.breaker()))
	}
}

// take returns a stream or a pooled connection, permission to dial, a place in the queue,
// or none of these. again is true for a caller that was in the queue and was told to ask
// again.
func (g *Group) take(e *Endpoint, now time.Duration, fresh, again bool) (s Stream, mayDial bool, w *waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.open2(e); s != nil {
		g.reused++
		return s, false, nil
	}
	if n := len(e.idle); n > 0 && !fresh && !g.stale(e.idle[n-1], now) {
		c := e.idle[n-1]
		e.idle[n-1] = nil
		e.idle = e.idle[:n-1]
		e.active++
		g.reused++
		c.reused = true
		return c, false, nil
	}
	full := len(g.waiters) >= g.options.MaxPending && !again
	if (full || !g.expects(e)) && g.room() {
		g.open++
		g.occupy(e)
		return nil, true, nil
	}
	if full {
		g.overflow++
		g.forget(e)
		return nil, false, nil
	}
	return nil, false, g.enqueue(e, fresh, again)
}

// occupy counts a connection to e that is about to be dialled. If the group has forgotten
// the endpoint since the caller got it, occupy adds it again.
func (g *Group) occupy(e *Endpoint) {
	e.active++
	e.dialling++
	g.endpoints[e] = struct{}{}
	if e.dynamic && g.dynamic[e.named()] == nil {
		g.dynamic[e.named()] = e
	}
}

// room reports whether one more connection may be opened. If necessary it closes an idle
// connection of another endpoint.
func (g *Group) room() bool {
	if g.open < g.options.MaxConnections {
		return true
	}
	for e := range g.endpoints {
		if len(e.idle) > 0 {
			g.closeOldest(e)
			g.forget(e)
			return true
		}
		if e.closeUnused() {
			return false // not yet: there is room when it has ended
		}
	}
	return false
}

// closeOldest closes the connection to e that has been idle for longest.
func (g *Group) closeOldest(e *Endpoint) {
	c := e.idle[0]
	e.idle = append(e.idle[:0], e.idle[1:]...)
	g.open--
	c.nio.Done()
}

// freed gives the room of a connection to e that was closed, or could not be opened, to
// the next waiter, if there is one.
func (g *Group) freed(e *Endpoint) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e.active--
	g.forget(e)
	if w := g.next(nil); w != nil {
		g.occupy(w.endpoint)
		w.turn <- turn{dial: true}
		return
	}
	g.open--
}

// forget drops an endpoint without connections if it is dynamic or was removed.
func (g *Group) forget(e *Endpoint) {
	if (e.dynamic || e.removed) && e.active == 0 && len(e.idle) == 0 {
		delete(g.endpoints, e)
		if g.dynamic[e.named()] == e {
			delete(g.dynamic, e.named())
		}
	}
}

// put gives a connection to a waiter for its endpoint, or to the pool. It closes a
// connection that nobody can use, to make room for another.
func (g *Group) put(c *Conn) {
	e := c.endpoint
	g.mu.Lock()
	if w := g.next(e); w != nil {
		g.reused++
		c.reused = true
		g.mu.Unlock()
		w.turn <- turn{conn: c}
		return
	}
	if n := len(e.idle); n > 0 && n >= g.options.MaxIdle && g.stale(e.idle[0], c.idleSince) {
		g.closeOldest(e)
	}
	if len(g.waiters) > 0 || g.closed || e.removed || len(e.idle) >= g.options.MaxIdle {
		g.mu.Unlock()
		g.discard(c)
		return
	}
	e.active--
	e.idle = append(e.idle, c)
	if g.sweeper == nil {
		g.sweeper = time.AfterFunc(g.sweepEvery(), g.sweep)
	}
	g.mu.Unlock()
}

// discard closes a connection that is neither in use nor in the pool.
func (g *Group) discard(c *Conn) {
	c.nio.Done()
	g.freed(c.endpoint)
}

func (g *Group) sweepEvery() time.Duration { return min(sweepEvery, g.options.IdleTimeout) }

// sweep closes pooled connections that were idle for too long, or that the endpoint has
// closed.
func (g *Group) sweep() {
	now := g.shared.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	left := 0
	for e := range g.endpoints {
		keep := e.idle[:0]
		for _, c := range e.idle {
			since := now - c.idleSince
			quiet := c.nio.Quiet()
			if quiet && since < g.options.IdleTimeout {
				e.open(since)
				keep = append(keep, c)
				continue
			}
			if !quiet {
				e.closed(c, now)
			}
			c.nio.Done()
			g.open--
		}
		clear(e.idle[len(keep):])
		e.idle = keep
		left += len(keep)
		g.forget(e)
	}
	g.sweeper = nil
	if left > 0 && !g.closed {
		g.sweeper = time.AfterFunc(g.sweepEvery(), g.sweep)
	}
}

func (g *Group) closeIdle(e *Endpoint) {
	for _, c := range e.idle {
		c.nio.Done()
		g.open--
	}
	e.idle = nil
}

// Close closes the idle connections. Connections in use are closed when they are
// released, or after their last stream.
func (g *Group) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	if g.sweeper != nil {
		g.sweeper.Stop()
		g.sweeper = nil
	}
	for e := range g.endpoints {
		g.closeIdle(e)
		for _, s := range e.sessions {
			s.conn.Shutdown()
		}
		g.forget(e)
	}
}
