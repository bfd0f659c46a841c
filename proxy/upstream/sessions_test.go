package upstream

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/http2"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// newServer2 is a real server that speaks HTTP/2 without TLS.
func newServer2(t testing.TB, h http.HandlerFunc) (s *httptest.Server, address string) {
	t.Helper()
	s = httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s, s.Listener.Addr().String()
}

func newGroup2(t testing.TB, change func(*Options)) *Group {
	t.Helper()
	g := NewGroup("test", options2(change), newTestGroup(t, nil).shared)
	t.Cleanup(func() {
		g.Close()
		eventually(t, "every connection ending", func() bool {
			g.mu.Lock()
			defer g.mu.Unlock()
			return g.open == 0 && len(g.waiters) == 0
		})
	})
	return g
}

func options2(change func(*Options)) Options {
	o := Options{
		ConnectTimeout: patience, IdleTimeout: time.Hour, MaxConnections: 4, MaxPending: 64, MaxIdle: 4, Protocol: HTTP2,
		HTTP2: http2.Options{MaxStreams: 100, StreamWindow: 64 << 10, Limits: http2.Limits{HeadBytes: 60 << 10, Fields: 100}},
	}
	if change != nil {
		change(&o)
	}
	return o
}

// request is a GET as it is when it has come in.
func request() *message.Head {
	h := &message.Head{Version: hop.HTTP11}
	wire := []byte("GET / HTTP/1.1")
	h.Begin(wire)
	h.Method = message.GET
	h.SetRequestLine(message.Span{Len: 3}, message.Span{Off: 4, Len: 1}, message.Span{}, message.Span{}, message.Span{Off: 4, Len: 1}, message.Span{})
	h.Add(message.Host, "host", "web")
	return h
}

// roundTrip sends a request and returns the status.
func roundTrip(t testing.TB, g *Group, s Stream) int {
	t.Helper()
	now := g.shared.Now()
	s.Await(now, now+patience, 0)
	var response message.Head
	if _, _, err := s.RoundTrip(request(), nil, &response); err != nil {
		t.Fatal(err)
	}
	return response.Status
}

func (g *Group) mustAcquire(t testing.TB, e *Endpoint) Stream {
	t.Helper()
	s, err := g.Acquire(context.Background(), e, g.shared.Now(), 0, false)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStreamsShareAConnection(t *testing.T) {
	_, address := newServer2(t, func(http.ResponseWriter, *http.Request) {})
	g := newGroup2(t, nil)
	e := g.Endpoint(address)
	a := g.mustAcquire(t, e)
	b := g.mustAcquire(t, e)
	if a.Reused() || !b.Reused() || a.Version() != hop.HTTP2 {
		t.Errorf("reused %t and %t, version %s", a.Reused(), b.Reused(), a.Version())
	}
	for _, s := range []Stream{a, b} {
		if status := roundTrip(t, g, s); status != 200 {
			t.Errorf("status %d", status)
		}
		s.Release(0, true)
	}
	if s := g.Stats(); s.Dialled != 1 || s.Reused != 1 || s.Active != 0 || s.Idle != 1 {
		t.Errorf("stats %+v", s)
	}
}

// TestManyAtOnce wait for the one connection that will do for all.
func TestManyAtOnce(t *testing.T) {
	_, address := newServer2(t, func(http.ResponseWriter, *http.Request) {})
	g := newGroup2(t, nil)
	e := g.Endpoint(address)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			s, err := g.Acquire(context.Background(), e, g.shared.Now(), 0, false)
			if err != nil {
				t.Error(err)
				return
			}
			s.Release(0, true)
		})
	}
	wg.Wait()
	if s := g.Stats(); s.Dialled != 1 || s.Reused != 49 {
		t.Errorf("stats %+v", s)
	}
}

// TestConnectionsAsNeeded are opened where those that are there are full, up to
// the limit; beyond it requests wait.
func TestConnectionsAsNeeded(t *testing.T) {
	_, address := newServer2(t, func(http.ResponseWriter, *http.Request) {})
	g := newGroup2(t, func(o *Options) { o.HTTP2.MaxStreams, o.MaxConnections = 1, 2 })
	e := g.Endpoint(address)
	a, b := g.mustAcquire(t, e), g.mustAcquire(t, e)
	if b.Reused() {
		t.Error("a full connection was used")
	}
	got := make(chan Stream, 1)
	go func() { got <- g.mustAcquire(t, e) }()
	g.begun(t, 1)
	roundTrip(t, g, a)
	a.Release(0, true)
	c := <-got
	if !c.Reused() {
		t.Error("a third connection was opened")
	}
	b.Release(0, true)
	c.Release(0, true)
	if s := g.Stats(); s.Dialled != 2 {
		t.Errorf("stats %+v", s)
	}
}

// TestSharedDialFails for all who waited for it, at once.
func TestSharedDialFails(t *testing.T) {
	begun, fail := make(chan struct{}), make(chan struct{})
	g := newGroup2(t, func(o *Options) {
		o.Dial = func(context.Context, string, string) (net.Conn, error) {
			close(begun) // a second dial would panic
			<-fail
			return nil, errors.New("no")
		}
	})
	e := g.Endpoint("127.0.0.1:1")
	errs := make(chan error, 3)
	acquire := func() {
		_, err := g.Acquire(context.Background(), e, g.shared.Now(), 0, false)
		errs <- err
	}
	go acquire()
	<-begun
	go acquire()
	go acquire()
	g.begun(t, 2)
	close(fail)
	for range 3 {
		if err := <-errs; kindOf(err) != fault.ConnectFailed {
			t.Errorf("got %v", err)
		}
	}
}

// TestGoneConnection is replaced by a new one.
func TestGoneConnection(t *testing.T) {
	s, address := newServer2(t, func(http.ResponseWriter, *http.Request) {})
	g := newGroup2(t, nil)
	e := g.Endpoint(address)
	a := g.mustAcquire(t, e)
	roundTrip(t, g, a)
	a.Release(0, true)
	s.CloseClientConnections()
	eventually(t, "the connection being gone", func() bool { return g.Stats().Idle == 0 })
	b := g.mustAcquire(t, e)
	if b.Reused() {
		t.Error("the connection that is gone was used")
	}
	roundTrip(t, g, b)
	b.Release(0, true)
}

// TestRoomForAnotherEndpoint is made by ending a connection without streams.
func TestRoomForAnotherEndpoint(t *testing.T) {
	_, one := newServer2(t, func(http.ResponseWriter, *http.Request) {})
	_, two := newServer2(t, func(http.ResponseWriter, *http.Request) {})
	g := newGroup2(t, func(o *Options) { o.MaxConnections = 1 })
	a := g.mustAcquire(t, g.Endpoint(one))
	roundTrip(t, g, a)
	a.Release(0, true)
	b := g.mustAcquire(t, g.Endpoint(two))
	roundTrip(t, g, b)
	b.Release(0, true)
	if s := g.Stats(); s.Dialled != 2 || s.Active+s.Idle != 1 {
		t.Errorf("stats %+v", s)
	}
}
