package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/netio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = time.Minute

// server accepts connections and holds them until they or the test end; what
// arrives is dropped.
type server struct {
	address string

	mu    sync.Mutex
	conns []net.Conn
	ended bool

	gone atomic.Int64 // connections that the other side has ended
}

func newServer(t testing.TB) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{address: l.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			if s.ended { // it was accepted at the last moment
				c.Close()
			}
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			wg.Go(func() {
				if _, err := io.Copy(io.Discard, c); err == nil {
					s.gone.Add(1)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		s.mu.Lock()
		s.ended = true
		s.mu.Unlock()
		s.closeAll()
		wg.Wait()
	})
	return s
}

func (s *server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.Close()
	}
	s.conns = nil
}

// newTestGroup is a group that ends with the test, and then has nothing open.
func newTestGroup(t testing.TB, change func(*Options)) *Group {
	o := Options{ConnectTimeout: patience, IdleTimeout: time.Hour, MaxConnections: 4, MaxPending: 4, MaxIdle: 4}
	if change != nil {
		change(&o)
	}
	g := NewGroup("test", o, netio.NewShared())
	t.Cleanup(func() {
		g.Close()
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.open != 0 || len(g.waiters) != 0 || len(g.dynamic) != 0 {
			t.Errorf("at the end: %d open, %d waiting, %d dynamic", g.open, len(g.waiters), len(g.dynamic))
		}
		for e := range g.endpoints {
			if e.active != 0 || len(e.idle) != 0 || e.dynamic {
				t.Errorf("at the end: %+v", e)
			}
		}
	})
	return g
}

func (g *Group) get(t testing.TB, e *Endpoint) *Conn {
	t.Helper()
	c, err := g.Acquire(context.Background(), e, g.shared.Now(), 0, false)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*Conn)
}

func (c *Conn) giveBack() { c.Release(c.nio.Now(), true) }

// begun waits until n callers wait in the group.
func (g *Group) begun(t testing.TB, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d callers waiting", n), func() bool { return g.Stats().Pending == n })
}

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: did not come about", what)
		}
	}
}

// waitFor acquires from another goroutine.
func (g *Group) waitFor(ctx context.Context, e *Endpoint, fresh bool) <-chan *Conn {
	got := make(chan *Conn, 1)
	go func() {
		var s Stream
		if now := g.shared.Now(); fresh {
			s, _ = g.Fresh(ctx, e, now, 0)
		} else {
			s, _ = g.Acquire(ctx, e, now, 0, false)
		}
		c, _ := s.(*Conn)
		got <- c
	}()
	return got
}

func kindOf(err error) fault.Kind {
	if err == nil {
		return fault.None
	}
	return fault.Of(err).Kind
}

func TestPoolGivesTheLastOneFirst(t *testing.T) {
	g := newTestGroup(t, nil)
	e := g.Endpoint(newServer(t).address)
	a, b := g.get(t, e), g.get(t, e)
	if a.reused || b.reused {
		t.Error("a new connection says that it is reused")
	}
	a.giveBack()
	b.giveBack()
	if c := g.get(t, e); c != b || !c.reused {
		t.Errorf("got %p, want %p, which was given back last", c, b)
	}
	if c := g.get(t, e); c != a {
		t.Errorf("got %p, want %p", c, a)
	}
	a.giveBack()
	b.giveBack()
	if s := g.Stats(); s != (Stats{Idle: 2, Dialled: 2, Reused: 2}) {
		t.Errorf("stats %+v", s)
	}
}

// TestPoolLeavesOut what must not be used again.
func TestPoolLeavesOut(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Options)
		spoil  func(c *Conn, s *server)
		now    time.Duration // that passes before the next request
	}{
		{"not reusable", nil, func(c *Conn, _ *server) { c.Release(0, false) }, 0},
		{"max_idle", func(o *Options) { o.MaxIdle = 0 }, func(c *Conn, _ *server) { c.giveBack() }, 0},
		{"idle for too long", func(o *Options) { o.IdleTimeout = time.Minute }, func(c *Conn, _ *server) { c.giveBack() }, time.Minute},
		{"closed by the endpoint", nil, func(c *Conn, s *server) {
			c.giveBack()
			s.closeAll()
		}, time.Second},
		{"spoken to by the endpoint", nil, func(c *Conn, s *server) {
			c.giveBack()
			s.mu.Lock()
			defer s.mu.Unlock()
			s.conns[0].Write([]byte("HTTP/1.1 408 Request Timeout\r\n\r\n"))
		}, time.Second},
		{"with bytes that were not read", nil, func(c *Conn, s *server) {
			s.mu.Lock()
			s.conns[0].Write([]byte("x"))
			s.mu.Unlock()
			c.nio.Await(0, 0)
			c.nio.Fill()
			c.giveBack()
		}, 0},
		{"with content behind a response that has none", nil, func(c *Conn, s *server) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.conns[0].Write([]byte("HTTP/1.1 304 Not Modified\r\n\r\n"))
			c.Await(c.nio.Now(), 0, patience)
			c.ReadHead(message.GET, &message.Head{})
			c.giveBack()
			s.conns[0].Write([]byte("evil"))
		}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			g := newTestGroup(t, tt.change)
			e := g.Endpoint(s.address)
			first := g.get(t, e)
			eventually(t, "the server having it", func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				return len(s.conns) == 1
			})
			tt.spoil(first, s)
			c, err := g.Acquire(context.Background(), e, g.shared.Now()+tt.now, 0, tt.now > 0 && tt.change == nil)
			if err != nil {
				t.Fatal(err)
			}
			if c == Stream(first) || c.Reused() {
				t.Error("the connection was used again")
			}
			c.(*Conn).giveBack()
		})
	}
}

func TestLimits(t *testing.T) {
	g := newTestGroup(t, func(o *Options) { o.MaxConnections, o.MaxPending = 1, 2 })
	e := g.Endpoint(newServer(t).address)
	c := g.get(t, e)
	ctx := context.Background()
	first := g.waitFor(ctx, e, false)
	g.begun(t, 1)
	second := g.waitFor(ctx, e, false)
	g.begun(t, 2)
	if _, err := g.Acquire(ctx, e, 0, 0, false); kindOf(err) != fault.Overflow {
		t.Errorf("one waiter too many: %v", err)
	}
	if _, err := g.Fresh(ctx, e, 0, 0); kindOf(err) != fault.Overflow {
		t.Errorf("one waiter too many: %v", err)
	}
	c.giveBack()
	if got := <-first; got != c {
		t.Errorf("the first that waited got %p, want %p", got, c)
	}
	c.Release(0, false) // the second has to dial
	got := <-second
	if got == nil || got == c || got.reused {
		t.Errorf("the second that waited got %p", got)
	}
	got.giveBack()
	if s := g.Stats(); s.Overflow != 2 || s.Dialled != 2 || s.Idle != 1 || s.Active != 0 || s.Pending != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestRoomIsMade by closing an idle connection, where all of them are idle ones
// of other endpoints, or when a fresh one is asked for.
func TestRoomIsMade(t *testing.T) {
	g := newTestGroup(t, func(o *Options) { o.MaxConnections = 1 })
	a, b := g.Endpoint(newServer(t).address), g.Endpoint(newServer(t).address)
	g.get(t, a).giveBack()
	c := g.get(t, b)
	if s := g.Stats(); s.Idle != 0 || s.Active != 1 {
		t.Errorf("stats %+v", s)
	}
	c.giveBack()
	fresh, err := g.Fresh(context.Background(), b, g.shared.Now(), 0)
	if err != nil || fresh == c || fresh.Reused() {
		t.Errorf("got %p, %v", fresh, err)
	}
	// One in use makes room for another endpoint's waiter when it is given back.
	waiting := g.waitFor(context.Background(), a, false)
	g.begun(t, 1)
	fresh.(*Conn).giveBack()
	if c := <-waiting; c == nil || c.endpoint != a {
		t.Error("the waiter got nothing")
	} else {
		c.giveBack()
	}
}

// TestFreshWaiter is not given a pooled connection, but room for a new one.
func TestFreshWaiter(t *testing.T) {
	g := newTestGroup(t, func(o *Options) { o.MaxConnections = 1 })
	e := g.Endpoint(newServer(t).address)
	c := g.get(t, e)
	waiting := g.waitFor(context.Background(), e, true)
	g.begun(t, 1)
	c.giveBack()
	if got := <-waiting; got == nil || got == c || got.reused {
		t.Errorf("got %p", got)
	} else {
		got.giveBack()
	}
}

func TestGivingUp(t *testing.T) {
	g := newTestGroup(t, func(o *Options) { o.MaxConnections, o.ConnectTimeout = 1, 20*time.Millisecond })
	e := g.Endpoint(newServer(t).address)
	c := g.get(t, e)
	now := g.shared.Now()
	if _, err := g.Acquire(context.Background(), e, now, now+time.Millisecond, false); kindOf(err) != fault.Overflow {
		t.Errorf("at the time to give up: %v", err)
	}
	if _, err := g.Acquire(context.Background(), e, now, 0, false); kindOf(err) != fault.Overflow {
		t.Errorf("without one: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := g.Acquire(ctx, e, now, now+time.Hour, false); kindOf(err) != fault.Draining {
		t.Errorf("cancelled: %v", err)
	}
	c.giveBack()
}

func TestDialFails(t *testing.T) {
	for _, tt := range []struct {
		address string
		err     error
		want    fault.Kind
	}{
		{"127.0.0.1:1", nil, fault.ConnectRefused},
		{"no.such.name.invalid:80", nil, fault.DNSFailed},
		{"x:1", context.DeadlineExceeded, fault.ConnectTimeout},
		{"x:1", context.Canceled, fault.Draining},
		{"x:1", errors.New("something else"), fault.ConnectFailed},
	} {
		g := newTestGroup(t, func(o *Options) {
			o.MaxConnections = 1
			if tt.err != nil {
				o.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, tt.err }
			}
		})
		e := g.Dynamic([]byte(tt.address), nil)
		for range 3 { // each gives up its room
			if _, err := g.Acquire(context.Background(), e, 0, 0, false); kindOf(err) != tt.want {
				t.Errorf("%s: %v (%v), want %v", tt.address, err, kindOf(err), tt.want)
			}
		}
	}
}

// TestDynamicEndpoints are known as long as they have a connection.
func TestDynamicEndpoints(t *testing.T) {
	s := newServer(t)
	address := []byte(s.address)
	known := func(g *Group) int { return len(g.Endpoints()) }
	t.Run("one for each address", func(t *testing.T) {
		g := newTestGroup(t, nil)
		e := g.Dynamic(address, nil)
		if g.Dynamic(address, nil) != e {
			t.Error("the same address is another endpoint")
		}
		c := g.get(t, e)
		c.giveBack()
		if g.Dynamic(address, nil) != e || known(g) != 1 {
			t.Error("the endpoint was forgotten while it has an idle connection")
		}
		c = g.get(t, e)
		c.Release(0, false)
		if known(g) != 0 {
			t.Error("the endpoint is known, though it has no connection")
		}
	})
	t.Run("forgotten in between", func(t *testing.T) {
		g := newTestGroup(t, nil)
		e := g.Dynamic(address, nil)
		g.get(t, e).Release(0, false)
		other := g.Dynamic(address, nil) // that of a second request
		a, b := g.get(t, e), g.get(t, other)
		a.giveBack()
		b.giveBack()
		if s := g.Stats(); s.Idle != 2 {
			t.Errorf("stats %+v", s)
		}
		g.Close() // which finds both: the group's end checks it
	})
	t.Run("refused", func(t *testing.T) {
		g := newTestGroup(t, func(o *Options) { o.MaxConnections, o.MaxPending = 1, 0 })
		c := g.get(t, g.Dynamic(address, nil))
		for i := range 10 {
			if _, err := g.Acquire(context.Background(), g.Dynamic(fmt.Appendf(nil, "127.0.0.1:%d", i+1), nil), 0, 0, false); kindOf(err) != fault.Overflow {
				t.Errorf("got %v", err)
			}
		}
		if n := known(g); n != 1 {
			t.Errorf("%d endpoints are known, want 1", n)
		}
		c.Release(0, false)
	})
	t.Run("gave up", func(t *testing.T) {
		g := newTestGroup(t, func(o *Options) { o.MaxConnections = 1 })
		c := g.get(t, g.Dynamic(address, nil))
		now := g.shared.Now()
		if _, err := g.Acquire(context.Background(), g.Dynamic([]byte("127.0.0.1:1"), nil), now, now+1, false); kindOf(err) != fault.Overflow {
			t.Errorf("got %v", err)
		}
		if n := known(g); n != 1 {
			t.Errorf("%d endpoints are known, want 1", n)
		}
		c.Release(0, false)
	})
	t.Run("waits for its own room", func(t *testing.T) {
		g := newTestGroup(t, func(o *Options) { o.MaxConnections = 1 })
		e := g.Dynamic(address, nil)
		c := g.get(t, e)
		waiting := g.waitFor(context.Background(), e, false)
		g.begun(t, 1)
		c.Release(0, false)
		if c = <-waiting; c == nil || known(g) != 1 {
			t.Fatalf("got %p, %d endpoints are known", c, known(g))
		}
		c.Release(0, false)
	})
	t.Run("swept", func(t *testing.T) {
		g := newTestGroup(t, func(o *Options) { o.IdleTimeout = 10 * time.Millisecond })
		g.get(t, g.Dynamic(address, nil)).giveBack()
		eventually(t, "the endpoint being forgotten", func() bool { return known(g) == 0 })
	})
}

// TestSweep closes what was idle for too long, or was closed at the other end,
// and keeps the rest.
func TestSweep(t *testing.T) {
	old, dead, good := newServer(t), newServer(t), newServer(t)
	g := newTestGroup(t, func(o *Options) { o.IdleTimeout = time.Minute })
	a, b, c := g.get(t, g.Endpoint(old.address)), g.get(t, g.Endpoint(dead.address)), g.get(t, g.Endpoint(good.address))
	a.Release(g.shared.Now()-time.Hour, true)
	b.giveBack()
	c.giveBack()
	dead.closeAll()
	eventually(t, "two being swept", func() bool {
		dead.closeAll() // it may not have accepted it before
		g.sweep()
		return g.Stats().Idle == 1
	})
	if got := g.get(t, c.endpoint); got != c {
		t.Error("the good one was swept too")
	}
	c.giveBack()
}

// TestClosedGroup keeps nothing any more.
func TestClosedGroup(t *testing.T) {
	g := newTestGroup(t, nil)
	e := g.Endpoint(newServer(t).address)
	a, b := g.get(t, e), g.get(t, e)
	a.giveBack()
	g.Close()
	b.giveBack()
	if s := g.Stats(); s.Idle != 0 || s.Active != 0 {
		t.Errorf("stats %+v", s)
	}
}
