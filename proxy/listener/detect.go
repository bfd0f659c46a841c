package listener

import (
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/http2"
	"github.com/hopscope/hopscope/proxy/netio"
)

// connHandler serves connections of one kind. It owns the connection and its place among
// the listener's connections, and returns when the connection has ended.
type connHandler func(*arrival)

// detected is what the first bytes tell about a connection.
type detected struct {
	alpn    string // the protocol that the TLS handshake agreed on, "" for none
	preface bool   // it begins as HTTP/2 does (RFC 9113 section 3.4)
}

// handler returns the handler for such a connection. Nothing else decides this.
func (d *detected) handler() connHandler {
	if d.alpn == "h2" || d.preface {
		return serveHTTP2
	}
	return serveHTTP1
}

func serveHTTP2(a *arrival) {
	c := newHTTP2(a.listener, a.nio, a.info)
	a.become(c)
	c.serve()
}

func serveHTTP1(a *arrival) {
	c := newHTTP1(a.listener, a.nio, a.info)
	c.headBy = a.headBy
	a.become(c)
	c.serve()
	a.listener.forget(c)
}

// arrival is a connection whose protocol is not known yet. It makes the TLS handshake if
// the listener has TLS, and then looks at the first bytes.
type arrival struct {
	listener *Listener
	nio      *netio.Conn
	info     filter.ConnInfo
	detected
	ending
	rest    rest
	secured atomic.Bool   // info has all that TLS knows
	trusted uint64        // the version of the files that its certificate was checked against
	headBy  time.Duration // when a first head must be whole; 0 before its first byte
}

// serve detects the protocol and calls its handler.
func (a *arrival) serve() {
	l := a.listener
	if !a.detect() {
		l.forget(a)
		a.nio.Done()
		return
	}
	a.handler()(a)
}

// become gives the arrival's place among the listener's connections to c.
func (a *arrival) become(c connection) {
	l := a.listener
	l.replace(a, c, a.nio)
	if a.secured.Load() {
		l.trustAgain(a.trusted, c)
	}
}

// detect finds out what the connection speaks. It reports false if the connection ended
// before that.
func (a *arrival) detect() bool {
	l := a.listener
	if l.TLS != nil && !a.encrypt() {
		return false
	}
	if a.alpn == "h2" {
		return true
	}
	if !a.awaitByte(l.HeadTimeout) {
		return false
	}
	now := l.Shared.Now()
	for {
		b := a.nio.Buffered()
		n := min(len(b), len(http2.Preface))
		if string(b[:n]) != http2.Preface[:n] {
			return true
		}
		if n == len(http2.Preface) {
			a.preface = true
			return true
		}
		if a.headBy == 0 {
			a.headBy = now + l.HeadTimeout
			a.nio.Await(now, a.headBy)
		}
		if a.nio.Fill() != nil {
			return true // HTTP/1 answers a head that is not whole
		}
	}
}

// awaitByte waits for the first byte, plain or encrypted. Until then the connection is
// idle.
func (a *arrival) awaitByte(patience time.Duration) bool {
	l := a.listener
	now := l.Shared.Now()
	if len(a.nio.Buffered()) > 0 {
		return true
	}
	a.nio.Await(now, now+patience)
	a.rest.begin(now)
	if a.nio.Fill() != nil {
		return false
	}
	if a.rest.end() {
		l.mu.Lock() // so a dismiss that has begun is done
		a.nio.Limit(0)
		l.mu.Unlock()
	}
	return true
}

// Info is part of [connection], as is what follows.
func (a *arrival) Info() *filter.ConnInfo { return &a.info }

func (a *arrival) retire() {} // the connection that it becomes retires

func (a *arrival) drain() { a.nio.Limit(time.Nanosecond) } // long past

func (a *arrival) idleSince() time.Duration { return a.rest.since() }

func (a *arrival) dismiss() bool {
	if !a.rest.dismiss() {
		return false
	}
	a.nio.Limit(time.Nanosecond)
	return true
}

func (a *arrival) cutOff() {
	a.nio.Abort()
	go a.nio.Close()
}

func (a *arrival) holds(time.Duration) holding {
	n := a.nio.Account.Held()
	return holding{a, n, n + 1, a.going()}
}

func (a *arrival) shed() {
	a.because(overloaded())
	a.cutOff()
}
