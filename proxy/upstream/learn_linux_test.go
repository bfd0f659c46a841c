package upstream

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
)

// rest puts a new connection to e into the pool, idle for so long already.
func (g *Group) rest(t *testing.T, e *Endpoint, age time.Duration) {
	t.Helper()
	s, err := g.Fresh(t.Context(), e, g.shared.Now(), 0)
	if err != nil {
		t.Fatal(err)
	}
	c := s.(*Conn)
	c.giveBack()
	g.mu.Lock()
	c.idleSince -= age
	g.mu.Unlock()
}

// accepts waits until the server has accepted a connection.
func (s *server) accepts(t *testing.T) {
	t.Helper()
	eventually(t, "the connection being accepted", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.conns) > 0
	})
}

// resetAll is closeAll with resets.
func (s *server) resetAll() {
	s.mu.Lock()
	for _, c := range s.conns {
		c.(*net.TCPConn).SetLinger(0)
	}
	s.mu.Unlock()
	s.closeAll()
}

// sees waits until the pool has seen that the endpoint closed all connections.
func (g *Group) sees(t *testing.T, e *Endpoint) {
	t.Helper()
	eventually(t, "the pool seeing the end", func() bool {
		g.sweep()
		return e.State().Idle == 0
	})
}

// closesAfter has the endpoint close an idle connection of such an age, and the pool see
// it.
func (g *Group) closesAfter(t *testing.T, s *server, e *Endpoint, age time.Duration) {
	t.Helper()
	g.rest(t, e, age)
	s.accepts(t)
	s.closeAll()
	g.sees(t, e)
	g.mu.Lock()
	defer g.mu.Unlock()
	e.times.moment -= time.Hour // the next one comes later
	for i := range e.times.n {
		e.times.closes[i].moment -= time.Hour
	}
}

// tick is how exact the kernel's times are at least: it counts in ticks of its own.
const tick = 100 * time.Millisecond

// TestLearnsIdleTimeout: a pool learns from what the endpoint closes, does not use what is
// about to be closed, and forgets what does not hold any more.
func TestLearnsIdleTimeout(t *testing.T) {
	s := newServer(t)
	g := newTestGroup(t, func(o *Options) { o.LearnIdleTimeout = true })
	e := g.Endpoint(s.address)
	for range enoughCloses {
		if limit := e.State().ClosesAfter; limit != 0 {
			t.Fatalf("learned %v too soon", limit)
		}
		g.closesAfter(t, s, e, time.Hour/2)
	}
	limit := e.State().ClosesAfter
	if limit < time.Hour/2-tick || limit > time.Hour/2+patience {
		t.Fatalf("learned %v", limit)
	}
	g.rest(t, e, limit*8/10)
	c := g.get(t, e)
	if !c.reused {
		t.Error("a connection that the endpoint still keeps is not used")
	}
	c.Release(g.shared.Now(), false)
	g.rest(t, e, limit*95/100)
	if c = g.get(t, e); c.reused {
		t.Error("a connection that is about to be closed is used")
	}
	c.Release(g.shared.Now(), false)
	if n := e.State().Idle; n != 1 {
		t.Fatalf("%d idle, want the one that was not used", n)
	}
	g.mu.Lock()
	e.idle[0].idleSince -= limit / 2
	g.mu.Unlock()
	g.sweep()
	if limit := e.State().ClosesAfter; limit != 0 {
		t.Errorf("still %v, though a connection was idle for longer and is open", limit)
	}
	if c = g.get(t, e); !c.reused {
		t.Error("it is not used again")
	}
	c.Release(g.shared.Now(), false)
}

// TestLearnsWhenAsked: the pool also learns from a connection that it finds closed as it
// is about to use it.
func TestLearnsWhenAsked(t *testing.T) {
	s := newServer(t)
	g := newTestGroup(t, nil)
	e := g.Endpoint(s.address)
	g.rest(t, e, time.Hour/2)
	s.accepts(t)
	s.closeAll()
	g.mu.Lock()
	idle := e.idle[0]
	g.mu.Unlock()
	eventually(t, "the end arriving", func() bool { return !idle.nio.Quiet() })
	c := g.get(t, e)
	defer c.Release(0, false)
	if age, certain := e.times.near(time.Hour / 2); c.reused || age < time.Hour/2-tick || certain {
		t.Errorf("reused %t, closed after %v, certain %t", c.reused, age, certain)
	}
}

// TestLearnsNothing: a reset does not tell when it came, and a pool that may not use what
// it learned uses every connection.
func TestLearnsNothing(t *testing.T) {
	s := newServer(t)
	g := newTestGroup(t, nil)
	e := g.Endpoint(s.address)
	for range enoughCloses {
		g.closesAfter(t, s, e, time.Hour/2)
	}
	g.rest(t, e, time.Hour*6/10)
	c := g.get(t, e)
	if !c.reused {
		t.Error("not used")
	}
	c.Release(g.shared.Now(), false)

	s = newServer(t)
	other := g.Endpoint(s.address)
	g.rest(t, other, time.Hour/2)
	s.accepts(t)
	s.resetAll()
	g.sees(t, other)
	if other.times.n != 0 {
		t.Errorf("learned %v", other.times.closes)
	}
}

// TestIdleRace: a request that meets the end of an idle connection says so, with the time
// after which the endpoint closes connections and how long this one had been idle.
func TestIdleRace(t *testing.T) {
	const age = 5 * time.Second
	for _, c := range []struct {
		name   string
		closes int
		age    time.Duration
		want   string
	}{
		{"certain", enoughCloses, age, "the endpoint closes idle connections after 5 s, and this one had been idle for 5 s; keep clusters.test.idle_timeout below that"},
		{"once before", 1, age, "the endpoint has closed another idle connection after 5 s, and this one had been idle for 5 s; keep clusters.test.idle_timeout below that"},
		{"at another age", enoughCloses, 2 * time.Second, "this connection had been idle for 2 s before the request"},
		{"nothing is known", 0, age, "this connection had been idle for 5 s before the request"},
		{"it was not idle", 0, 0, ""},
	} {
		for _, reset := range []bool{false, true} {
			s := newServer(t)
			g := newTestGroup(t, nil)
			e := g.Endpoint(s.address)
			for i := range c.closes {
				e.times.closed(age, time.Duration(i+1)*time.Hour)
			}
			g.rest(t, e, c.age)
			conn := g.get(t, e)
			s.accepts(t) // and ends the connection just before the request comes
			if reset {
				s.resetAll()
			} else {
				s.closeAll()
			}
			var response message.Head
			conn.Await(g.shared.Now(), 0, 0)
			_, _, err := conn.RoundTrip(request(), nil, &response)
			f := fault.Of(err)
			if k := f.Kind; k != fault.UpstreamClosed && k != fault.UpstreamReset {
				t.Fatalf("%s: %v", c.name, err)
			}
			if !strings.HasPrefix(f.Evidence, c.want) || c.want == "" && f.Evidence != "" {
				t.Errorf("%s, reset %t: %q, want %q", c.name, reset, f.Evidence, c.want)
			}
			conn.Release(g.shared.Now(), false)
		}
	}
}

// TestNoIdleRace: an endpoint that has begun to answer had not closed the connection.
func TestNoIdleRace(t *testing.T) {
	s := newServer(t)
	g := newTestGroup(t, nil)
	e := g.Endpoint(s.address)
	g.rest(t, e, time.Minute)
	c := g.get(t, e)
	defer func() { c.Release(g.shared.Now(), false) }()
	if _, err := c.Send(request()); err != nil {
		t.Fatal(err)
	}
	s.accepts(t)
	s.mu.Lock()
	s.conns[0].Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	s.mu.Unlock()
	var response message.Head
	c.Await(g.shared.Now(), 0, 0)
	if err := c.ReadHead(message.GET, &response); err != nil || response.Status != 100 {
		t.Fatal(response.Status, err)
	}
	s.resetAll()
	if f := fault.Of(c.ReadHead(message.GET, &response)); f == nil || f.Evidence != "" {
		t.Errorf("%+v", f)
	}
}
