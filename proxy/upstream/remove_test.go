package upstream

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/fault"
)

// holds checks how many connections a group has, and how many endpoints it knows.
func (g *Group) holds(t testing.TB, active, idle, endpoints int) {
	t.Helper()
	if s := g.Stats(); s.Active != active || s.Idle != idle || len(g.Endpoints()) != endpoints {
		t.Errorf("%d active, %d idle, endpoints %+v: want %d, %d, %d", s.Active, s.Idle, g.Endpoints(), active, idle, endpoints)
	}
}

// hasSeenEnd waits until the server has seen n connections end.
func (s *server) hasSeenEnd(t testing.TB, n int64) {
	t.Helper()
	eventually(t, "connections being closed", func() bool { return s.gone.Load() == n })
}

// TestRemove closes what is idle, and the rest with the requests that use it; the
// endpoint is known as long as there is any.
func TestRemove(t *testing.T) {
	background := context.Background()
	for _, tt := range []struct {
		name string
		run  func(t *testing.T, g *Group, e *Endpoint, s *server)
	}{
		{"never used", func(t *testing.T, g *Group, e *Endpoint, _ *server) {
			g.Remove(e)
			g.Remove(e) // once more does no harm
		}},
		{"idle", func(t *testing.T, g *Group, e *Endpoint, s *server) {
			a, b := g.get(t, e), g.get(t, e)
			a.giveBack()
			b.giveBack()
			g.Remove(e)
			s.hasSeenEnd(t, 2)
		}},
		{"in use", func(t *testing.T, g *Group, e *Endpoint, s *server) {
			a, b, idle := g.get(t, e), g.get(t, e), g.get(t, e)
			idle.giveBack()
			g.Remove(e)
			g.holds(t, 2, 0, 1)
			if state := e.State(); !state.Removed || state.Active != 2 {
				t.Errorf("state %+v", state)
			}
			s.hasSeenEnd(t, 1)
			a.giveBack()
			g.holds(t, 1, 0, 1)
			b.giveBack()
			s.hasSeenEnd(t, 3)
		}},
		{"picked before", func(t *testing.T, g *Group, e *Endpoint, s *server) {
			g.Remove(e)
			c := g.get(t, e)
			g.holds(t, 1, 0, 1)
			c.giveBack()
			s.hasSeenEnd(t, 1)
		}},
		{"waited for", func(t *testing.T, g *Group, e *Endpoint, s *server) {
			all := []*Conn{g.get(t, e), g.get(t, e), g.get(t, e), g.get(t, e)}
			pooled, fresh := g.waitFor(background, e, false), g.waitFor(background, e, true)
			g.begun(t, 2)
			g.Remove(e)
			all[0].giveBack() // to the one that may have it
			all[1].giveBack() // which makes room for the other
			for _, c := range []*Conn{<-pooled, <-fresh, all[2], all[3]} {
				if c == nil {
					t.Fatal("one that waited was refused")
				}
				c.giveBack()
			}
			s.hasSeenEnd(t, 5)
		}},
		{"waited for in vain", func(t *testing.T, g *Group, e *Endpoint, _ *server) {
			other := g.Endpoint(newServer(t).address)
			var all []*Conn
			for range 4 {
				all = append(all, g.get(t, other))
			}
			now := g.shared.Now()
			ctx, cancel := context.WithCancel(background)
			waiting := g.waitFor(ctx, e, false)
			g.begun(t, 1)
			g.Remove(e)
			g.holds(t, 4, 0, 1)
			cancel()
			if c := <-waiting; c != nil {
				t.Error("it got a connection")
			}
			if _, err := g.Acquire(background, e, now, now+1, false); kindOf(err) != fault.Overflow {
				t.Errorf("got %v", err)
			}
			g.holds(t, 4, 0, 1)
			for _, c := range all {
				c.giveBack()
			}
			g.Remove(other)
		}},
		{"makes room", func(t *testing.T, g *Group, e *Endpoint, s *server) {
			var all []*Conn
			for range 4 {
				all = append(all, g.get(t, e))
			}
			other := g.Endpoint(newServer(t).address)
			waiting := g.waitFor(background, other, false)
			g.begun(t, 1)
			g.Remove(e)
			all[0].giveBack()
			c := <-waiting
			if c == nil || c.endpoint != other {
				t.Fatalf("got %+v", c)
			}
			c.giveBack()
			g.Remove(other)
			for _, c := range all[1:] {
				c.giveBack()
			}
			s.hasSeenEnd(t, 4)
		}},
		{"back again", func(t *testing.T, g *Group, e *Endpoint, s *server) {
			old := g.get(t, e)
			g.Remove(e)
			back := g.Endpoint(s.address)
			c := g.get(t, back)
			old.giveBack()
			s.hasSeenEnd(t, 1)
			g.holds(t, 1, 0, 1)
			if back.State().Removed || c == old {
				t.Errorf("state %+v", back.State())
			}
			c.giveBack()
			g.holds(t, 0, 1, 1)
			if g.get(t, back) != c {
				t.Error("it keeps no connection")
			}
			g.Remove(back)
			c.giveBack()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			g := newTestGroup(t, nil)
			tt.run(t, g, g.Endpoint(s.address), s)
			g.holds(t, 0, 0, 0)
		})
	}
}

// TestRemoveWhileDialling lets the request have its connection, and no other.
func TestRemoveWhileDialling(t *testing.T) {
	for _, fails := range []bool{false, true} {
		s := newServer(t)
		dialling, goOn := make(chan bool), make(chan bool)
		g := newTestGroup(t, func(o *Options) {
			o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				dialling <- true
				<-goOn
				if fails {
					return nil, net.ErrClosed
				}
				return new(net.Dialer).DialContext(ctx, network, address)
			}
		})
		e := g.Endpoint(s.address)
		waiting := g.waitFor(context.Background(), e, false)
		<-dialling
		g.Remove(e)
		g.holds(t, 1, 0, 1)
		close(goOn)
		switch c := <-waiting; {
		case fails != (c == nil):
			t.Errorf("got %v", c)
		case c != nil:
			c.giveBack()
			s.hasSeenEnd(t, 1)
		}
		g.holds(t, 0, 0, 0)
	}
}

// TestRemoveSessions lets streams end, and opens no others on their connections.
func TestRemoveSessions(t *testing.T) {
	for _, open := range []int{0, 1, 3} {
		server := newGoingServer(t)
		g := newGroup2(t, nil)
		e := g.Endpoint(server.address)
		streams := []Stream{g.mustAcquire(t, e)}
		first := <-server.conns
		for range open - 1 {
			streams = append(streams, g.mustAcquire(t, e))
		}
		for _, s := range streams {
			send(t, g, s)
		}
		if open == 0 {
			server.answer(t)
			receive(t, streams[0])
			streams[0].Release(0, true)
			g.holds(t, 0, 1, 1)
			streams = nil
		}
		g.Remove(e)
		if open == 0 {
			eventually(t, "the endpoint being told", first.Gone)
		} else {
			g.holds(t, 1, 0, 1)
			late := g.mustAcquire(t, e) // of a request that had picked it
			send(t, g, late)
			if second := <-server.conns; second == first {
				t.Error("a stream was opened on a connection that goes away")
			}
			streams = append(streams, late)
		}
		for range streams {
			server.answer(t)
		}
		for _, s := range streams {
			receive(t, s)
			s.Release(0, true)
		}
		eventually(t, "the connections ending", func() bool { s := g.Stats(); return s.Active+s.Idle == 0 })
		g.holds(t, 0, 0, 0)
	}
}

// TestRemoveSendsGoAway ends an HTTP/2 connection in order, behind its last stream.
func TestRemoveSendsGoAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	g := newGroup2(t, nil)
	e := g.Endpoint(l.Addr().String())
	s := g.mustAcquire(t, e)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	g.Remove(e)
	g.holds(t, 1, 0, 1)
	s.Release(0, true)
	conn.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(conn)
	if _, err := r.Discard(len(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, r)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if away, ok := frame.(*http2.GoAwayFrame); ok {
			if away.ErrCode != http2.ErrCodeNo {
				t.Errorf("GOAWAY with %v", away.ErrCode)
			}
			return
		}
	}
}

// TestRemoveUnderLoad takes endpoints out and back in while requests use them, and
// forgets all of them in the end.
func TestRemoveUnderLoad(t *testing.T) {
	_, address := newServer2(t, func(http.ResponseWriter, *http.Request) {})
	for _, protocol := range []Protocol{HTTP1, HTTP2} {
		g := newGroup2(t, func(o *Options) { o.Protocol, o.MaxConnections, o.MaxPending = protocol, 4, 1000 })
		if protocol == HTTP1 {
			address = newServer(t).address
		}
		const callers, requests, endpoints = 8, 50, 50
		given := make(chan *Endpoint, callers)
		ended := make(chan bool)
		for range callers {
			go func() {
				defer func() { ended <- true }()
				for range requests {
					e := <-given
					s, err := g.Acquire(context.Background(), e, g.shared.Now(), 0, false)
					if err != nil {
						t.Error(err)
						continue
					}
					s.Release(g.shared.Now(), true)
				}
			}()
		}
		for range endpoints {
			e := g.Endpoint(address)
			for range callers * requests / endpoints {
				given <- e
			}
			g.Remove(e)
		}
		for range callers {
			<-ended
		}
		eventually(t, "all being forgotten", func() bool { s := g.Stats(); return s.Active+s.Idle+s.Pending+len(g.Endpoints()) == 0 })
	}
}
