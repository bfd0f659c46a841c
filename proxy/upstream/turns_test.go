package upstream

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/http2"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/netio"
)

// streamFor acquires from another goroutine; nil is for a failure.
func (g *Group) streamFor(t testing.TB, e *Endpoint) <-chan Stream {
	return g.streamsFor(t, e, 1)
}

// streamsFor has so many callers acquire at once.
func (g *Group) streamsFor(t testing.TB, e *Endpoint, callers int) <-chan Stream {
	got := make(chan Stream, callers)
	for range callers {
		go func() {
			s, err := g.Acquire(context.Background(), e, g.shared.Now(), 0, false)
			if err != nil {
				t.Errorf("acquire: %v", err)
			}
			got <- s
		}()
	}
	return got
}

// TestEveryTurn comes, one after the other, where a connection carries but a
// few streams at once.
func TestEveryTurn(t *testing.T) {
	for _, most := range []int{1, 2, 3, 4} {
		_, address := newServer2(t, func(http.ResponseWriter, *http.Request) {})
		g := newGroup2(t, func(o *Options) { o.HTTP2.MaxStreams, o.MaxConnections = most, 1 })
		e := g.Endpoint(address)
		var held []Stream
		for range most {
			held = append(held, g.mustAcquire(t, e))
		}
		waiting := 3 * most
		all := g.streamsFor(t, e, waiting)
		g.begun(t, waiting)
		for _, s := range held { // at once: nobody who is told of the first has come by the last
			s.Release(0, true)
		}
		for range waiting {
			if s := <-all; s != nil {
				s.Release(0, true)
			}
		}
	}
}

// TestTurnOfAnotherEndpoint comes when a connection carries no stream any more,
// though it could carry others to its own.
func TestTurnOfAnotherEndpoint(t *testing.T) {
	_, one := newServer2(t, func(http.ResponseWriter, *http.Request) {})
	_, two := newServer2(t, func(http.ResponseWriter, *http.Request) {})
	g := newGroup2(t, func(o *Options) { o.MaxConnections = 1 })
	a := g.mustAcquire(t, g.Endpoint(one))
	got := g.streamFor(t, g.Endpoint(two))
	g.begun(t, 1)
	a.Release(0, true)
	if b := <-got; b != nil {
		roundTrip(t, g, b)
		b.Release(0, true)
	}
}

// TestNoQueueToShare has callers dial where they may not wait for a connection
// that is on its way.
func TestNoQueueToShare(t *testing.T) {
	_, address := newServer2(t, func(http.ResponseWriter, *http.Request) {})
	dialling, dial := make(chan struct{}), make(chan struct{})
	g := newGroup2(t, func(o *Options) {
		o.MaxPending = 0
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			dialling <- struct{}{}
			<-dial
			return new(net.Dialer).DialContext(ctx, network, address)
		}
	})
	e := g.Endpoint(address)
	a := g.streamFor(t, e)
	<-dialling
	b := g.streamFor(t, e)
	select {
	case <-dialling:
	case <-b:
		t.Error("it was refused")
		close(dial)
		(<-a).Release(0, true)
		return
	}
	close(dial)
	(<-a).Release(0, true)
	(<-b).Release(0, true)
}

// TestDialWaitedForInVain is no lack of connections.
func TestDialWaitedForInVain(t *testing.T) {
	dialling, fail := make(chan struct{}), make(chan struct{})
	g := newGroup2(t, func(o *Options) {
		o.Dial = func(context.Context, string, string) (net.Conn, error) {
			close(dialling)
			<-fail
			return nil, errors.New("no")
		}
	})
	e := g.Endpoint("127.0.0.1:1")
	first := make(chan error, 1)
	go func() {
		_, err := g.Acquire(context.Background(), e, g.shared.Now(), 0, false)
		first <- err
	}()
	<-dialling
	_, err := g.Acquire(context.Background(), e, g.shared.Now(), g.shared.Now()+time.Millisecond, false)
	if kindOf(err) != fault.ConnectTimeout {
		t.Errorf("got %v", err)
	}
	close(fail)
	<-first
}

// TestContentWithinTheDeadline: the response is waited for until the route's timeout
// while content waits that the endpoint does not take, and Close ends that.
func TestContentWithinTheDeadline(t *testing.T) {
	release := make(chan struct{})
	_, address := newServer2(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	g := newGroup2(t, nil)
	s := g.mustAcquire(t, g.Endpoint(address))
	r := request()
	r.Method, r.Framing, r.Length = message.POST, message.ByLength, 4<<20
	now := g.shared.Now()
	s.Await(now, now+50*time.Millisecond, time.Hour)
	left, sent, err := s.RoundTrip(r, make([]byte, 4<<20), new(message.Head))
	if err != nil || sent != Partly || len(left) == 0 || len(left) == 4<<20 {
		t.Errorf("%d left, sent %d, %v", len(left), sent, err)
	}
	sending := make(chan error)
	go func() { sending <- s.Content(left) }()
	if err := s.ReadHead(r.Method, new(message.Head)); kindOf(err) != fault.UpstreamTimeout {
		t.Errorf("got %v", err)
	}
	s.Close()
	if err := <-sending; err == nil {
		t.Error("the content was sent")
	}
	s.Release(0, false)
}

// goingServer speaks HTTP/2, and goes away when it is told to: connections
// answer the streams that they have, and take no more.
type goingServer struct {
	address string
	conns   chan *http2.Conn
	streams chan *http2.Stream // one for each that was opened, to be answered
}

func newGoingServer(t testing.TB) *goingServer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		all.Wait() // the clients are gone by then
	})
	g := &goingServer{address: l.Addr().String(), conns: make(chan *http2.Conn, 100), streams: make(chan *http2.Stream, 100)}
	shared := netio.NewShared()
	all.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			c := http2.Server(netio.New(nc, shared), http2.Options{Shared: shared, Name: "the client"}, func(s *http2.Stream) { g.streams <- s })
			g.conns <- c
			all.Go(func() { c.Run() })
		}
	})
	return g
}

// answer answers the next stream.
func (g *goingServer) answer(t testing.TB) {
	t.Helper()
	s := <-g.streams
	h := new(message.Head)
	h.Begin(nil)
	h.Status = 200
	if err := s.WriteHead(h, true); err != nil {
		t.Error(err)
	}
	s.Flush()
	s.Close()
}

// TestGoAwayWhileCallersWait lets the streams that are open end, and the callers
// have those of another connection.
func TestGoAwayWhileCallersWait(t *testing.T) {
	server := newGoingServer(t)
	for _, connections := range []int{1, 2} {
		g := newGroup2(t, func(o *Options) { o.HTTP2.MaxStreams, o.MaxConnections = 2, connections })
		e := g.Endpoint(server.address)
		a := g.mustAcquire(t, e)
		first := <-server.conns
		send(t, g, a)
		b := g.mustAcquire(t, e)
		send(t, g, b)
		const callers = 3
		var others <-chan Stream
		if connections == 1 {
			others = g.streamsFor(t, e, callers)
			g.begun(t, callers)
		}
		first.Shutdown()
		if connections == 2 {
			eventually(t, "the connection going away", func() bool {
				g.mu.Lock()
				defer g.mu.Unlock()
				return e.sessions[0].conn.Gone()
			})
			others = g.streamsFor(t, e, callers)
		}
		for _, s := range []Stream{a, b} {
			server.answer(t)
			receive(t, s)
			s.Release(0, true)
		}
		for range callers {
			s := <-others
			if s == nil {
				t.Fatal("a caller that waited was refused")
			}
			send(t, g, s)
			server.answer(t)
			receive(t, s)
			s.Release(0, true)
		}
		<-server.conns
		if s := g.Stats(); s.Dialled > 3 || s.Active+s.Idle > connections {
			t.Errorf("stats %+v", s)
		}
	}
}

// send sends a request that ends by and by.
func send(t testing.TB, g *Group, s Stream) {
	t.Helper()
	now := g.shared.Now()
	s.Await(now, now+patience, 0)
	if _, err := s.Send(request()); err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(nil); err != nil {
		t.Fatal(err)
	}
}

func receive(t testing.TB, s Stream) {
	t.Helper()
	var response message.Head
	if err := s.ReadHead(message.GET, &response); err != nil {
		t.Fatal(err)
	}
}

// TestCloseWithStreamsOpen lets them end, and with them their connections.
func TestCloseWithStreamsOpen(t *testing.T) {
	_, address := newServer2(t, func(http.ResponseWriter, *http.Request) {})
	g := newGroup2(t, nil)
	e := g.Endpoint(address)
	a, b := g.mustAcquire(t, e), g.mustAcquire(t, e)
	g.Close()
	c := g.mustAcquire(t, e) // of a request that was on its way
	for _, s := range []Stream{a, b, c} {
		if status := roundTrip(t, g, s); status != 200 {
			t.Errorf("status %d", status)
		}
		s.Release(0, true)
	}
	eventually(t, "the connections ending", func() bool { s := g.Stats(); return s.Active+s.Idle == 0 })
}

// TestDynamicEndpointOfHTTP2 is forgotten with its connection.
func TestDynamicEndpointOfHTTP2(t *testing.T) {
	server, address := newServer2(t, func(http.ResponseWriter, *http.Request) {})
	g := newGroup2(t, nil)
	for range 2 {
		e := g.Dynamic([]byte(address), nil)
		s := g.mustAcquire(t, e)
		roundTrip(t, g, s)
		s.Release(0, true)
		if g.Dynamic([]byte(address), nil) != e {
			t.Error("it was forgotten too soon")
		}
		server.CloseClientConnections()
		eventually(t, "the endpoint being forgotten", func() bool {
			g.mu.Lock()
			defer g.mu.Unlock()
			return len(g.dynamic) == 0 && len(g.endpoints) == 0
		})
	}
}
