package admin

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// bound keeps to as many connections as most returns, and to maxConnections: who comes
// when there are as many waits for a moment, and then takes the place of the one that
// has been idle for longest, else of the one that has been silent or busy for longest. So
// nobody who holds connections keeps the others out, and /ready answers.
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

type boundListener struct {
	net.Listener
	bound *bound
}

// Accept is part of [net.Listener].
func (l *boundListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	for n := 0; err == nil && !l.bound.enter(c, n == looks); n++ {
		time.Sleep(lookAgain)
	}
	return c, err
}

// Who is new, idle or busy for less than its turn is not closed yet for another, who
// looks so often whether that is over.
const (
	turn      = 100 * time.Millisecond
	lookAgain = 10 * time.Millisecond
	looks     = 20
)

// enter takes a connection in, in the place of another where need be; false if it would
// have to be of one that has had no turn, unless that is so in any case.
func (b *bound) enter(c net.Conn, anyway bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if len(b.conns) >= min(b.most(), maxConnections) {
		victim := b.leastUseful(now, anyway)
		if victim == nil {
			return false
		}
		delete(b.conns, victim)
		victim.Close()
	}
	b.conns[c] = usage{http.StateNew, now}
	return true
}

// leastUseful is the connection that is missed least, nil where each has yet to have its
// turn.
func (b *bound) leastUseful(now time.Time, anyway bool) (found net.Conn) {
	worth := [...]int{http.StateIdle: 0, http.StateNew: 1, http.StateActive: 2}
	var of usage
	for c, u := range b.conns {
		if !anyway && now.Sub(u.since) < turn {
			continue
		}
		if found == nil || worth[u.state] < worth[of.state] || u.state == of.state && u.since.Before(of.since) {
			found, of = c, u
		}
	}
	return found
}

// changed is told by the server what a connection does now.
func (b *bound) changed(c net.Conn, state http.ConnState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch _, known := b.conns[c]; {
	case state == http.StateClosed, state == http.StateHijacked:
		delete(b.conns, c)
	case known && state != http.StateNew:
		b.conns[c] = usage{state, time.Now()}
	}
}
