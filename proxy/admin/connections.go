package admin

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// bound limits connections to what most returns, and to maxConnections. When the limit is
// reached, a new connection waits a moment, and then replaces the one that has been idle
// for longest, else the one that has been silent or busy for longest. So nobody can keep
// others out by holding connections, and /ready answers.
type bound struct {
	most func() int

	mu    sync.Mutex
	conns map[net.Conn]usage
}

// usage is the state of a connection, and since when.
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

// A connection that has been new, idle or busy for less than its turn is not closed for
// another. The waiting connection looks again this often.
const (
	turn      = 100 * time.Millisecond
	lookAgain = 10 * time.Millisecond
	looks     = 20
)

// enter admits a connection, and replaces another if necessary. It returns false if all
// others still have their turn, unless anyway is true.
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

// leastUseful returns the connection to close first, nil if all still have their turn.
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

// changed is called by the server when the state of a connection changes.
func (b *bound) changed(c net.Conn, state http.ConnState) {
	c = plain(c)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch _, known := b.conns[c]; {
	case state == http.StateClosed, state == http.StateHijacked:
		delete(b.conns, c)
	case known && state != http.StateNew:
		b.conns[c] = usage{state, time.Now()}
	}
}
