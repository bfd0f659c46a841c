package upstream

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/hopscope/hopscope/proxy/evidence"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/netio"
)

// This file tells idleTimes what happens to pooled connections, and uses what it has
// learned. Both need group.mu, unless said otherwise.

const never = int64(math.MaxInt64)

// stale reports whether a connection has been idle for so long that its endpoint may be
// about to close it. The pool keeps it, but does not use it: how it ends shows whether
// what was learned still holds.
func (g *Group) stale(c *Conn, now time.Duration) bool {
	keep := c.endpoint.times.keep()
	return keep > 0 && now-c.idleSince >= keep && g.options.LearnIdleTimeout
}

// closed notes that a pooled connection was found closed, if it was its endpoint that
// closed it in good order. A reset does not tell when it came.
func (e *Endpoint) closed(c *Conn, now time.Duration) {
	p := c.nio.Peer()
	if p.State == netio.PeerEnded || p.State == netio.PeerAnnounced {
		at := now - p.Ended
		e.times.closed(at-c.idleSince, at)
		e.doubts()
	}
}

// open notes that a pooled connection that has been idle for so long is open.
func (e *Endpoint) open(since time.Duration) {
	if int64(since) > e.doubt.Load() {
		e.times.outlived(since)
		e.doubts()
	}
}

// doubts lets other goroutines see from which idle time on open has something to do.
func (e *Endpoint) doubts() {
	doubt := never
	if d := e.times.doubt(); d > 0 {
		doubt = int64(d)
	}
	e.doubt.Store(doubt)
}

// noteClosed is closed without the lock.
func (g *Group) noteClosed(c *Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.endpoint.closed(c, g.shared.Now())
}

// noteOpen is open without the lock.
func (g *Group) noteOpen(c *Conn, since time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.endpoint.open(since)
}

// unanswered is explain for a request that got no byte of a response. If the endpoint may
// have closed the connection because it was idle, just as the request came, the fault
// says so.
func (c *Conn) unanswered(err error) error {
	why := c.explain(err, true)
	f, ok := errors.AsType[*fault.Error](why)
	if !ok || !c.reused || len(c.nio.Buffered()) > 0 || errors.Is(err, netio.ErrUnasked) ||
		f.Kind != fault.UpstreamClosed && f.Kind != fault.UpstreamReset {
		return why
	}
	f.Evidence = c.met()
	return why
}

// noteworthy is the idle time of a connection from which it is worth a word that it ended
// with its next request.
const noteworthy = time.Second

// met says what is known of the endpoint's idle timeout, and how long this connection had
// been idle. Call it without the lock.
func (c *Conn) met() string {
	g := c.endpoint.group
	g.mu.Lock()
	limit, certain := c.endpoint.times.near(c.idled)
	g.mu.Unlock()
	idled := evidence.Duration(c.idled)
	switch {
	case certain:
		return fmt.Sprintf("the endpoint closes idle connections after %s, and this one had been idle for %s; keep clusters.%s.idle_timeout below that", evidence.Duration(limit), idled, g.Name)
	case limit > 0:
		return fmt.Sprintf("the endpoint has closed another idle connection after %s, and this one had been idle for %s; keep clusters.%s.idle_timeout below that", evidence.Duration(limit), idled, g.Name)
	case c.idled >= noteworthy:
		return "this connection had been idle for " + idled + " before the request"
	}
	return ""
}
