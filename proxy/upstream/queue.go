package upstream

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
)

// waiter is a caller that waits for a connection.
type waiter struct {
	endpoint *Endpoint
	fresh    bool // it can't use a pooled connection
	turn     chan turn
}

// turn is what a waiter gets: a pooled connection, permission to dial, or an error. The
// zero turn tells it to ask again.
type turn struct {
	conn *Conn
	dial bool
	err  error
}

// enqueue puts a caller at the end of the queue, or at the front if it was in the queue
// before.
func (g *Group) enqueue(e *Endpoint, fresh, again bool) *waiter {
	w := &waiter{endpoint: e, fresh: fresh, turn: make(chan turn, 1)}
	at := len(g.waiters)
	if again {
		at = 0
	}
	g.waiters = slices.Insert(g.waiters, at, w)
	return w
}

// wait waits for the waiter's turn.
func (g *Group) wait(ctx context.Context, w *waiter, giveUp time.Duration) (turn, error) {
	timer := time.NewTimer(giveUp - g.shared.Now())
	defer timer.Stop()
	select {
	case t := <-w.turn:
		return t, nil
	case <-timer.C:
	case <-ctx.Done():
	}
	if !g.leave(w) { // its turn came in the meantime: pass it on
		switch t := <-w.turn; {
		case t.conn != nil:
			g.put(t.conn)
		case t.dial:
			g.undialled(w.endpoint, nil)
		default:
			g.ask(w.endpoint)
		}
	}
	if ctx.Err() != nil {
		return turn{}, fault.New(fault.Draining, "the proxy is shutting down")
	}
	return turn{}, g.late(w.endpoint)
}

// late returns the error for a caller whose turn did not come in time.
func (g *Group) late(e *Endpoint) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e.dialling > 0 && g.multiplexes(e) && g.open < g.options.MaxConnections { // it waited for a connection that is being dialled, though there was room to dial its own
		return fault.New(fault.ConnectTimeout, "no connection to "+e.Address+" was ready before the request timed out")
	}
	return fault.New(fault.Overflow, fmt.Sprintf("no connection of cluster %s became free in time: all %d are in use, as many as max_connections of %s allows", g.Name, g.options.MaxConnections, g.breaker()))
}

// leave takes w out of the queue. It returns false if its turn has come already.
func (g *Group) leave(w *waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, other := range g.waiters {
		if other == w {
			g.waiters = slices.Delete(g.waiters, i, i+1)
			g.forget(w.endpoint)
			return true
		}
	}
	return false
}

// next takes the oldest waiter out of the queue. If e is not nil, it takes only one that
// can use a pooled connection to e. It returns nil if there is none.
func (g *Group) next(e *Endpoint) *waiter {
	for i, w := range g.waiters {
		if e == nil || w.endpoint == e && !w.fresh {
			g.waiters = slices.Delete(g.waiters, i, i+1)
			return w
		}
	}
	return nil
}

// ask tells another waiter for e to ask again, in place of a waiter that gave up. If
// there is none and others need room, it closes an unused session of e.
func (g *Group) ask(e *Endpoint) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.tell(e, 1, turn{}) == 0 && g.starved() {
		e.closeUnused()
	}
}

// tell gives the same turn to up to n waiters for e, the oldest first. It returns how
// many it told.
func (g *Group) tell(e *Endpoint, n int, t turn) (told int) {
	g.waiters = slices.DeleteFunc(g.waiters, func(w *waiter) bool {
		if w.endpoint != e || told >= n {
			return false
		}
		told++
		w.turn <- t
		return true
	})
	return told
}
