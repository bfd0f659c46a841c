package upstream

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/netio"
)

// Options are a group's limits. All of them must be set.
type Options struct {
	ConnectTimeout time.Duration
	IdleTimeout    time.Duration // of a pooled connection
	MaxConnections int           // open at once, to all endpoints
	MaxPending     int           // callers that wait for a connection
	MaxIdle        int           // pooled connections of one endpoint
	Head           http1.Limits  // of a response
	// Dial opens a connection; nil is [net.Dialer.DialContext].
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Group is what the endpoints of one cluster share. Use [NewGroup].
type Group struct {
	Name string

	options Options
	shared  *netio.Shared

	mu        sync.Mutex
	open      int       // connections that are dialled, in use or idle
	waiters   []*waiter // callers for whom there is no connection, oldest first
	endpoints map[*Endpoint]struct{}
	dynamic   map[string]*Endpoint // those of Dynamic, by address
	sweeper   *time.Timer          // nil while no connection is idle
	closed    bool

	dialled, reused, overflow uint64
}

// Stats are a group's counters at one moment.
type Stats struct {
	Active, Idle, Pending     int    // connections in use, in the pool; callers that wait
	Dialled, Reused, Overflow uint64 // connections handed out, new and pooled; callers refused
}

// Endpoint is one address and its pool.
type Endpoint struct {
	// Address is host and port.
	Address string

	group *Group

	// Guarded by group.mu:
	idle    []*Conn // the last was used last
	active  int     // connections in use, or being dialled
	dynamic bool
}

// waiter is a caller that waits for its turn: it is told by a connection, or
// by nil that it may dial.
type waiter struct {
	endpoint *Endpoint
	turn     chan *Conn
}

// sweepEvery is how often idle connections are looked after.
const sweepEvery = 5 * time.Second

// checkAfter is how long a connection may have been idle without being looked
// at before it is used: most of those that an endpoint closed were closed
// after longer.
const checkAfter = 10 * time.Millisecond

// NewGroup returns a group without endpoints.
func NewGroup(name string, o Options, shared *netio.Shared) *Group {
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	return &Group{
		Name: name, options: o, shared: shared,
		endpoints: map[*Endpoint]struct{}{}, dynamic: map[string]*Endpoint{},
	}
}

// Endpoint adds an endpoint to the group.
func (g *Group) Endpoint(address string) *Endpoint {
	e := &Endpoint{Address: address, group: g}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.endpoints[e] = struct{}{}
	return e
}

// Dynamic returns the endpoint of an address that requests name themselves. It
// is made at need, and forgotten when it has no connection any more.
func (g *Group) Dynamic(address []byte) *Endpoint {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e := g.dynamic[string(address)]; e != nil {
		return e
	}
	e := &Endpoint{Address: string(address), group: g, dynamic: true}
	g.endpoints[e] = struct{}{}
	g.dynamic[e.Address] = e
	return e
}

// EndpointState is what an endpoint's pool holds.
type EndpointState struct {
	Address      string
	Active, Idle int
}

// Endpoints tells what the pools of all endpoints hold, by address.
func (g *Group) Endpoints() []EndpointState {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]EndpointState, 0, len(g.endpoints))
	for e := range g.endpoints {
		all = append(all, EndpointState{e.Address, e.active, len(e.idle)})
	}
	slices.SortFunc(all, func(a, b EndpointState) int { return cmp.Compare(a.Address, b.Address) })
	return all
}

// Stats are the group's counters.
func (g *Group) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := Stats{Pending: len(g.waiters), Dialled: g.dialled, Reused: g.reused, Overflow: g.overflow}
	for e := range g.endpoints {
		s.Idle += len(e.idle)
	}
	s.Active = g.open - s.Idle
	return s
}

// Acquire returns a connection to e: the pooled one that was used last, or a
// new one. now is the time on the group's clock, give up the time at which to
// stop waiting for a connection to come free, 0 for never. careful makes it
// look at a pooled connection before it is handed out, for a request that
// can't be sent twice.
func (g *Group) Acquire(ctx context.Context, e *Endpoint, now, giveUp time.Duration, careful bool) (*Conn, error) {
	for {
		c, mayDial, w := g.take(e, now)
		switch {
		case c != nil:
			if (careful || now-c.idleSince > checkAfter) && !c.nio.Quiet() {
				g.discard(c)
				continue
			}
			return c, nil
		case mayDial:
			return g.dial(ctx, e)
		case w == nil:
			return nil, fault.New(fault.Overflow, fmt.Sprintf("cluster %s has its %d connections open and %d requests waiting; raise max_connections or max_pending", g.Name, g.options.MaxConnections, g.options.MaxPending))
		}
		c, err := g.wait(ctx, w, giveUp)
		if err != nil {
			return nil, err
		}
		if c == nil {
			return g.dial(ctx, e)
		}
		return c, nil
	}
}

// Fresh returns a new connection to e, never a pooled one, within the same
// limits.
func (g *Group) Fresh(ctx context.Context, e *Endpoint) (*Conn, error) {
	g.mu.Lock()
	if !g.room() {
		g.overflow++
		g.mu.Unlock()
		return nil, fault.New(fault.Overflow, fmt.Sprintf("cluster %s has its %d connections open", g.Name, g.options.MaxConnections))
	}
	g.open++
	e.active++
	g.mu.Unlock()
	return g.dial(ctx, e)
}

// take finds a pooled connection, or leave to dial, or a place in the queue,
// or none of them.
func (g *Group) take(e *Endpoint, now time.Duration) (c *Conn, mayDial bool, w *waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(e.idle); n > 0 {
		c = e.idle[n-1]
		e.idle[n-1] = nil
		e.idle = e.idle[:n-1]
		e.active++
		g.reused++
		c.Reused = true
		return c, false, nil
	}
	if g.room() {
		g.open++
		e.active++
		return nil, true, nil
	}
	if len(g.waiters) >= g.options.MaxPending {
		g.overflow++
		return nil, false, nil
	}
	w = &waiter{endpoint: e, turn: make(chan *Conn, 1)}
	g.waiters = append(g.waiters, w)
	return nil, false, w
}

// room reports whether one more connection may be opened; it closes an idle
// one of another endpoint if that is what it takes.
func (g *Group) room() bool {
	if g.open < g.options.MaxConnections {
		return true
	}
	for e := range g.endpoints {
		if len(e.idle) > 0 {
			c := e.idle[0]
			e.idle = append(e.idle[:0], e.idle[1:]...)
			g.open--
			c.nio.Done()
			g.forget(e)
			return true
		}
	}
	return false
}

// wait waits for the waiter's turn.
func (g *Group) wait(ctx context.Context, w *waiter, giveUp time.Duration) (*Conn, error) {
	var timeout <-chan time.Time
	if giveUp > 0 {
		t := time.NewTimer(giveUp - g.shared.Now())
		defer t.Stop()
		timeout = t.C
	}
	select {
	case c := <-w.turn:
		return c, nil
	case <-timeout:
	case <-ctx.Done():
	}
	if !g.leave(w) { // the turn came in the meantime: pass it on
		if c := <-w.turn; c != nil {
			g.put(c)
		} else {
			g.freed(w.endpoint)
		}
	}
	if ctx.Err() != nil {
		return nil, fault.New(fault.Draining, "the proxy is shutting down")
	}
	return nil, fault.New(fault.Overflow, fmt.Sprintf("no connection of cluster %s came free in time: all %d are in use", g.Name, g.options.MaxConnections))
}

// leave takes w out of the queue; false if its turn has come already.
func (g *Group) leave(w *waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, other := range g.waiters {
		if other == w {
			g.waiters = append(g.waiters[:i], g.waiters[i+1:]...)
			return true
		}
	}
	return false
}

// freed gives up the room of a connection to e that was closed, or never came
// to be: to the next in the queue, if any.
func (g *Group) freed(e *Endpoint) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e.active--
	g.forget(e)
	if w := g.next(nil); w != nil {
		w.endpoint.active++
		w.turn <- nil
		return
	}
	g.open--
}

// forget drops a dynamic endpoint that has no connection.
func (g *Group) forget(e *Endpoint) {
	if e.dynamic && e.active == 0 && len(e.idle) == 0 {
		delete(g.endpoints, e)
		delete(g.dynamic, e.Address)
	}
}

// next takes the oldest waiter out of the queue: the oldest for e, if e is not
// nil and there is one.
func (g *Group) next(e *Endpoint) *waiter {
	for i, w := range g.waiters {
		if e == nil || w.endpoint == e {
			g.waiters = append(g.waiters[:i], g.waiters[i+1:]...)
			return w
		}
	}
	return nil
}

// put gives a connection to whoever waits for its endpoint, or to the pool; a
// connection that nobody can use makes room for another.
func (g *Group) put(c *Conn) {
	e := c.endpoint
	g.mu.Lock()
	if w := g.next(e); w != nil {
		g.reused++
		c.Reused = true
		g.mu.Unlock()
		w.turn <- c
		return
	}
	if len(g.waiters) > 0 || g.closed || len(e.idle) >= g.options.MaxIdle {
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

// sweep closes pooled connections that were idle for too long, or that their
// endpoint has closed.
func (g *Group) sweep() {
	now := g.shared.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	left := 0
	for e := range g.endpoints {
		keep := e.idle[:0]
		for _, c := range e.idle {
			if now-c.idleSince < g.options.IdleTimeout && c.nio.Quiet() {
				keep = append(keep, c)
				continue
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

// Close closes the idle connections; those in use are closed when they are
// released.
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
	}
}
