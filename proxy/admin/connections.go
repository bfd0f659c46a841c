package admin

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// bound keeps to as many connections as most returns, and to maxConnections: whoever
// comes when there are more takes the place of the one that has been idle for longest,
// else of the one that has been silent or busy for longest. So nobody who holds
// connections keeps the others out, and /ready answers.
type bound struct {
	most func() int

	mu    sync.Mutex
	conns map[net.Conn]usage
}

// usage is what a connection does, and since when.
type usage struct {
	state http.ConnState
	since time.Time
}

func (b *bound) changed(c net.Conn, state http.ConnState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if state == http.StateClosed || state == http.StateHijacked {
		delete(b.conns, c)
		return
	}
	if state == http.StateNew && len(b.conns) >= min(b.most(), maxConnections) {
		victim := b.leastUseful()
		delete(b.conns, victim)
		victim.Close()
	}
	b.conns[c] = usage{state, time.Now()}
}

// leastUseful is the connection that is missed least.
func (b *bound) leastUseful() (found net.Conn) {
	worth := [...]int{http.StateIdle: 0, http.StateNew: 1, http.StateActive: 2}
	var of usage
	for c, u := range b.conns {
		if found == nil || worth[u.state] < worth[of.state] || u.state == of.state && u.since.Before(of.since) {
			found, of = c, u
		}
	}
	return found
}
