package upstream

import (
	"github.com/hopscope/hopscope/proxy/http2"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// session is an HTTP/2 connection to an endpoint. It stays open while it carries streams,
// and for the idle timeout after that.
type session struct {
	conn     *http2.Conn
	endpoint *Endpoint
	tls      *hop.TLS
	closing  bool // told to end, to make room; guarded by group.mu
}

// capacity is how many streams we expect a connection to carry before its endpoint has
// said so in its settings.
const capacity = 100

// multiplexes reports whether many requests share, or may turn out to share, a connection
// to e.
func (g *Group) multiplexes(e *Endpoint) bool {
	switch g.options.Protocol {
	case HTTP2:
		return true
	case Auto:
		return g.options.TLS != nil && e.spoken != HTTP1
	}
	return false
}

// open2 opens a stream on a session that has room; nil if there is none.
func (g *Group) open2(e *Endpoint) Stream {
	for _, s := range e.sessions {
		if stream, ok := s.conn.Open(); ok {
			return newStream2(s, stream, true)
		}
	}
	return nil
}

// expects reports whether the connections to e that are being dialled suffice for its
// waiters and one more.
func (g *Group) expects(e *Endpoint) bool {
	if e.dialling == 0 || !g.multiplexes(e) {
		return false
	}
	waiting := 0
	for _, w := range g.waiters {
		if w.endpoint == e {
			waiting++
		}
	}
	return waiting+e.dialling < e.dialling*min(capacity, g.options.HTTP2.MaxStreams)
}

// unused counts the sessions without streams.
func (e *Endpoint) unused() int {
	n := 0
	for _, s := range e.sessions {
		if s.conn.Active() == 0 {
			n++
		}
	}
	return n
}

// closeUnused ends a session without streams, if there is one. If there is none, changed
// ends the first session whose last stream ends.
func (e *Endpoint) closeUnused() bool {
	for _, s := range e.sessions {
		s.conn.Want(true) // before Active, so that a stream that ends now is not missed
		if s.conn.Active() == 0 && !s.closing {
			s.close()
			return true
		}
	}
	return false
}

// close ends a session after its last stream.
func (s *session) close() {
	s.closing = true
	s.conn.Shutdown()
}

// begin makes a session from a new connection, and returns its first stream.
func (g *Group) begin(e *Endpoint, nio *netio.Conn, tls *hop.TLS) (Stream, error) {
	o := g.options.HTTP2
	o.Shared, o.Name, o.Cluster, o.Scheme, o.IdleTimeout = g.shared, e.Address, g.Name, "http", g.options.IdleTimeout
	if tls != nil {
		o.Scheme = "https"
	}
	s := &session{conn: http2.Client(nio, o), endpoint: e, tls: tls}
	first, _ := s.conn.Open()
	s.conn.OnChange(func() { g.changed(s) })
	g.mu.Lock()
	e.sessions = append(e.sessions, s)
	g.dialled++
	g.arrived(e, HTTP2)
	if g.closed || e.removed {
		s.conn.Shutdown()
	}
	g.mu.Unlock()
	go func() {
		s.conn.Run() // its streams report why it ended
		g.ended(s)
	}()
	return newStream2(s, first, false), nil
}

// arrived records the protocol of a new connection. Its waiters ask again, for a stream
// or to dial themselves.
func (g *Group) arrived(e *Endpoint, p Protocol) {
	shared := p == HTTP2 || g.multiplexes(e)
	e.dialling--
	e.spoken = p
	if shared {
		g.tell(e, len(g.waiters), turn{})
	}
}

// undialled gives up the room of a connection to e that could not be opened. Its waiters
// fail with it if e has no other connection, open or being dialled.
func (g *Group) undialled(e *Endpoint, why error) {
	g.mu.Lock()
	e.dialling--
	if g.multiplexes(e) {
		switch {
		case why == nil:
			g.tell(e, 1, turn{})
		case e.dialling == 0 && len(e.sessions) == 0:
			g.tell(e, len(g.waiters), turn{err: why})
		}
	}
	g.mu.Unlock()
	g.freed(e)
}

// changed is called when a stream ends while callers wait, and when the session gets more
// room or is going away. A session without streams is closed if callers wait for
// connections to other endpoints.
func (g *Group) changed(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := s.conn.Capacity()
	if n == 0 {
		n = len(g.waiters)
	}
	told := g.tell(s.endpoint, n, turn{})
	s.conn.Want(len(g.waiters) > 0)
	if told == 0 && g.starved() && s.conn.Active() == 0 && !s.closing {
		s.close()
	}
}

// starved reports whether callers wait for room for another connection.
func (g *Group) starved() bool {
	return len(g.waiters) > 0 && g.open >= g.options.MaxConnections
}

// ended forgets a session that has ended.
func (g *Group) ended(s *session) {
	e := s.endpoint
	g.mu.Lock()
	for i, other := range e.sessions {
		if other == s {
			e.sessions = append(e.sessions[:i:i], e.sessions[i+1:]...)
			break
		}
	}
	g.mu.Unlock()
	g.freed(e)
}
