package gate

import (
	"container/list"
	"sync"
)

// Urgency says how soon a request is to be let in: 0 is the most urgent, as in RFC 9218
// section 4.1.
type Urgency uint8

// The default is RFC 9218's, and the least urgent are the last to be let in.
const (
	DefaultUrgency Urgency = 3
	LeastUrgent    Urgency = 7
)

// Gate lets requests in. The zero value is ready. Any goroutine may use it.
type Gate struct {
	mu     sync.Mutex
	limit  int
	active int
	queued int
	queues [LeastUrgent + 1]list.List // of Waiters, the first in front
}

// Waiter is a request in the queue.
type Waiter struct {
	ready    chan struct{}
	urgency  Urgency
	place    *list.Element // nil once it is out of the queue
	admitted bool
}

// Enter asks for a request to be let in. If it is, in is true, and [Gate.Leave] ends it. If
// it has to wait, it gets a Waiter. If neither is so, it is refused. limit is how many may
// be under way, room how many may wait; the gate goes by the limit that it was told last.
func (g *Gate) Enter(limit, room int, u Urgency) (w *Waiter, in bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limit = limit
	g.admit()
	if g.active < limit {
		g.active++
		return nil, true
	}
	u = min(u, LeastUrgent)
	if g.queued >= room && !g.displace(u) {
		return nil, false
	}
	w = &Waiter{ready: make(chan struct{}), urgency: u}
	w.place = g.queues[u].PushBack(w)
	g.queued++
	return w, false
}

// Leave ends a request that was let in, and lets the next one in.
func (g *Gate) Leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.active--
	g.admit()
}

// Limit tells the gate how many may be under way. It is for a limit that changes while
// nobody enters.
func (g *Gate) Limit(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limit = n
	g.admit()
}

// Settle ends the wait of a request, whatever its channel says. It reports whether the
// request was let in; if so, [Gate.Leave] ends it.
func (g *Gate) Settle(w *Waiter) (in bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remove(w)
	return w.admitted
}

// Ready is closed once it is known whether the request is let in: see [Gate.Settle].
func (w *Waiter) Ready() <-chan struct{} { return w.ready }

// Load is how many requests are under way, and how many wait.
func (g *Gate) Load() (active, waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.active, g.queued
}

// admit lets in who waits, as far as there is room. The caller holds the lock.
func (g *Gate) admit() {
	for u := range g.queues {
		for g.active < g.limit && g.queues[u].Len() > 0 {
			w := g.queues[u].Front().Value.(*Waiter)
			g.remove(w)
			w.admitted = true
			g.active++
			close(w.ready)
		}
	}
}

// displace sends away the last of those in the queue that are less urgent. It is false if
// there is none.
func (g *Gate) displace(u Urgency) bool {
	for less := LeastUrgent; less > u; less-- {
		if last := g.queues[less].Back(); last != nil {
			w := last.Value.(*Waiter)
			g.remove(w)
			close(w.ready)
			return true
		}
	}
	return false
}

func (g *Gate) remove(w *Waiter) {
	if w.place != nil {
		g.queues[w.urgency].Remove(w.place)
		w.place = nil
		g.queued--
	}
}
