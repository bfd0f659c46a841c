package http1_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// gated is an endpoint that answers each request with the number of the
// connection it came on, when the test lets it.
type gated struct {
	address string
	got     chan int // a request has arrived, on that connection
	answer  chan struct{}
	open    atomic.Int64
}

func newGated(t *testing.T) *gated {
	g := &gated{got: make(chan int, 1000), answer: make(chan struct{})}
	g.address = proxytest.Endpoint(t, func(n int, p *proxytest.Peer) {
		g.open.Add(1)
		defer g.open.Add(-1)
		for {
			if _, err := p.TryReadHead(); err != nil {
				return
			}
			g.got <- n
			<-g.answer
			p.Send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", fmt.Sprintf("%03d", n))
		}
	})
	t.Cleanup(func() { close(g.answer) }) // what is left, before the endpoint ends
	return g
}

// TestHTTP1PoolIsLastInFirstOut: the connection that was used last is used
// next, so that those that are not needed can grow old.
func TestHTTP1PoolIsLastInFirstOut(t *testing.T) {
	proxytest.NoLeaks(t)
	g := newGated(t)
	rig := proxytest.Start(t, g.address)
	clients := []*proxytest.Peer{rig.Dial(), rig.Dial(), rig.Dial()}
	for i, c := range clients {
		c.Send(proxytest.RootRequest)
		if n := <-g.got; n != i {
			t.Fatalf("request %d came on connection %d", i, n)
		}
	}
	// All three end, in whatever order; the last one is the next that is used.
	last := ""
	for range clients {
		g.answer <- struct{}{}
	}
	for _, c := range clients {
		c.ReadOK()
	}
	for range 10 {
		clients[0].Send(proxytest.RootRequest)
		<-g.got
		g.answer <- struct{}{}
		body := clients[0].ReadOK()
		if last != "" && body != last {
			t.Errorf("connection %s was used, not %s, which was used last", body, last)
		}
		last = body
	}
	if n := g.open.Load(); n != 3 {
		t.Errorf("%d connections are open, want 3", n)
	}
}

// TestHTTP1MaxIdle and IdleTimeout bound what the pool keeps.
func TestHTTP1PoolBounds(t *testing.T) {
	proxytest.NoLeaks(t)
	tests := []struct {
		name   string
		change func(*proxytest.Settings)
		keeps  int64
	}{
		{"max_idle 0", func(s *proxytest.Settings) { s.Cluster.MaxIdle = 0 }, 0},
		{"max_idle 2", func(s *proxytest.Settings) { s.Cluster.MaxIdle = 2 }, 2},
		{"idle_timeout", func(s *proxytest.Settings) { s.Cluster.IdleTimeout = 50 * time.Millisecond }, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newGated(t)
			rig := proxytest.Start(t, g.address, tt.change)
			clients := []*proxytest.Peer{rig.Dial(), rig.Dial(), rig.Dial(), rig.Dial()}
			for _, c := range clients {
				c.Send(proxytest.RootRequest)
				<-g.got
			}
			for range clients {
				g.answer <- struct{}{}
			}
			for _, c := range clients {
				c.ReadOK()
			}
			proxytest.Eventually(rig.T, fmt.Sprintf("%d connections being left", tt.keeps), func() bool { return g.open.Load() == tt.keeps })
		})
	}
}

// TestHTTP1MaxConnections: requests beyond the limit wait, and those beyond
// what may wait are refused.
func TestHTTP1MaxConnections(t *testing.T) {
	proxytest.NoLeaks(t)
	g := newGated(t)
	rig := proxytest.StartWithViews(t, g.address, func(s *proxytest.Settings) {
		s.Cluster.CircuitBreaker.MaxConnections, s.Cluster.CircuitBreaker.MaxPending = 2, 3
	})
	var clients []*proxytest.Peer
	request := func() (*proxytest.Peer, hop.TraceID) {
		c := rig.Dial()
		trace, field := proxytest.NewTrace()
		c.Send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
		return c, trace
	}
	for range 2 {
		c, _ := request()
		clients = append(clients, c)
		<-g.got
	}
	for range 3 {
		c, _ := request()
		clients = append(clients, c)
	}
	proxytest.Eventually(rig.T, "three requests waiting", func() bool {
		return rig.Scrape().Sum("hopscope_upstream_requests_pending", "cluster", "web") == 3
	})
	c, refused := request()
	resp, body := c.ReadResponse("GET")
	if resp.StatusCode != 503 || !strings.Contains(resp.Header.Get("Proxy-Status"), "error=connection_limit_reached") {
		t.Errorf("status %d, %q, %q", resp.StatusCode, resp.Header, body)
	}
	if h := rig.Hop(refused); h.Flags.String() != "UO" || h.Status != 503 || h.ProxyError != "connection_limit_reached" {
		t.Errorf("flags %q, status %d, error %s", h.Flags, h.Status, h.ProxyError)
	}
	go func() {
		for range clients {
			g.answer <- struct{}{}
		}
	}()
	for i, c := range clients {
		if body := c.ReadOK(); body != "000" && body != "001" {
			t.Errorf("request %d was answered on connection %s", i, body)
		}
	}
	if n := g.open.Load(); n != 2 {
		t.Errorf("%d connections are open, want 2", n)
	}
}

// TestHTTP1WaiterGivesUp: the route's timeout ends a wait for a connection.
func TestHTTP1WaiterGivesUp(t *testing.T) {
	proxytest.NoLeaks(t)
	g := newGated(t)
	rig := proxytest.Start(t, g.address, func(s *proxytest.Settings) {
		s.Cluster.CircuitBreaker.MaxConnections = 1
		s.Route.Timeout = 500 * time.Millisecond
	})
	first := rig.Dial() // its timeout has not begun, as the request has not ended
	first.Send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	<-g.got
	second := rig.Dial()
	trace, field := proxytest.NewTrace()
	second.Send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
	if resp, _ := second.ReadResponse("GET"); resp.StatusCode != 503 {
		t.Errorf("status %d, want 503", resp.StatusCode)
	}
	if h := rig.Hop(trace); h.Flags.String() != "UO" {
		t.Errorf("flags %q, want UO", h.Flags)
	}
	first.Reset() // and there is room again
	g.answer <- struct{}{}
	second.Send(proxytest.RootRequest)
	<-g.got
	g.answer <- struct{}{}
	second.ReadOK()
}

// TestHTTP1Stale: how a pooled connection that died is noticed, and when the
// request is sent again.
func TestHTTP1Stale(t *testing.T) {
	proxytest.NoLeaks(t)
	// deaths are how the endpoint ends its first connection after one answer;
	// the proxy knows of it before the next request, or not.
	deaths := map[string]func(p *proxytest.Peer){
		"closed while idle": func(p *proxytest.Peer) { p.Close() },
		"reset while idle":  (*proxytest.Peer).Reset,
		"closed upon the request": func(p *proxytest.Peer) {
			p.ReadHead()
			p.Close()
		},
		"reset upon the request": func(p *proxytest.Peer) {
			p.ReadHead()
			p.Reset()
		},
	}
	tests := []struct {
		request string
		again   bool // it may be sent twice
	}{
		{"GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", true},
		{"PUT / HTTP/1.1\r\nHost: a\r\n%sContent-Length: 2\r\n\r\nhi", true},
		{"POST / HTTP/1.1\r\nHost: a\r\n%sContent-Length: 2\r\n\r\nhi", false},
		{"PATCH / HTTP/1.1\r\nHost: a\r\n%sContent-Length: 0\r\n\r\n", false},
	}
	for how, die := range deaths {
		for _, tt := range tests {
			method, _, _ := strings.Cut(tt.request, " ")
			t.Run(how+", "+method, func(t *testing.T) {
				dead := make(chan struct{})
				rig := proxytest.Start(t, proxytest.Endpoint(t, func(n int, p *proxytest.Peer) {
					if n == 0 {
						p.ReadHead()
						p.Send(proxytest.EmptyResponse)
						die(p)
						close(dead)
						return
					}
					for {
						if _, err := p.TryReadHead(); err != nil {
							return
						}
						p.Send(proxytest.EmptyResponse)
					}
				}))
				client := rig.Dial()
				client.Send(proxytest.RootRequest)
				client.ReadOK()
				idle := strings.HasSuffix(how, "idle")
				if idle {
					<-dead
				}
				trace, field := proxytest.NewTrace()
				client.Send(fmt.Sprintf(tt.request, field))
				resp, body := client.ReadResponse(method)
				h := rig.Hop(trace)
				if want := tt.again || idle; (resp.StatusCode == 200) != want {
					t.Fatalf("status %d, flags %q: %s", resp.StatusCode, h.Flags, body)
				}
				switch {
				case resp.StatusCode == 503:
					if len(h.Attempts) != 1 || !strings.Contains("UC UR", h.Flags.String()) {
						t.Errorf("%d attempts, flags %q; want 1, UC or UR", len(h.Attempts), h.Flags)
					}
				case len(h.Attempts) == 1: // the connection was seen to be dead
					if !idle || h.Attempts[0].Reused {
						t.Errorf("one attempt, reused %v", h.Attempts[0].Reused)
					}
				default:
					a, b := h.Attempts[0], h.Attempts[1]
					if len(h.Attempts) != 2 || h.Flags != 0 || !a.Reused || b.Reused || a.Flags == 0 || a.Status != 0 || b.Flags != 0 || b.Status != 200 || a.Span == b.Span {
						t.Errorf("flags %q, attempts %+v", h.Flags, h.Attempts)
					}
				}
			})
		}
	}
}

// TestHTTP1StaleUpload: content that is still on its way can't be sent twice,
// so the connection is looked at before.
func TestHTTP1StaleUpload(t *testing.T) {
	proxytest.NoLeaks(t)
	rig := proxytest.Start(t, proxytest.Endpoint(t, func(n int, p *proxytest.Peer) {
		p.ReadHead()
		if n > 0 {
			p.Expect("hello")
		}
		p.Send(proxytest.EmptyResponse)
		if n == 0 {
			return
		}
		p.ReadRest()
	}))
	client := rig.Dial()
	client.Send(proxytest.RootRequest)
	client.ReadOK()
	client.Send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
	client.AwaitRead()
	client.Send("hello")
	// The endpoint closes at once, but may do so too late to be seen.
	if resp, body := client.ReadResponse("PUT"); resp.StatusCode != 200 && resp.StatusCode != 503 {
		t.Errorf("status %d: %s", resp.StatusCode, body)
	}
}

// TestHTTP1NoRetryLoop: a request is sent again once, not for ever.
func TestHTTP1NoRetryLoop(t *testing.T) {
	proxytest.NoLeaks(t)
	var heads atomic.Int64
	rig := proxytest.Start(t, proxytest.Endpoint(t, func(n int, p *proxytest.Peer) {
		p.ReadHead()
		if n == 0 {
			p.Send(proxytest.EmptyResponse)
			p.ReadHead()
		}
		heads.Add(1)
	}))
	client := rig.Dial()
	client.Send(proxytest.RootRequest)
	client.ReadOK()
	trace, field := proxytest.NewTrace()
	client.Send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
	if resp, _ := client.ReadResponse("GET"); resp.StatusCode != 503 {
		t.Errorf("status %d, want 503", resp.StatusCode)
	}
	h := rig.Hop(trace)
	if len(h.Attempts) != 2 || heads.Load() != 2 || h.Flags.String() != "UC" {
		t.Errorf("%d attempts, %d requests at the endpoint, flags %q; want 2, 2, UC", len(h.Attempts), heads.Load(), h.Flags)
	}
	for i, a := range h.Attempts {
		if a.Flags.String() != "UC" || a.Reused != (i == 0) {
			t.Errorf("attempt %d: flags %q, reused %v", i, a.Flags, a.Reused)
		}
	}
	// A fresh connection that fails is no reason to try again.
	trace, field = proxytest.NewTrace()
	client.Send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
	client.ReadResponse("GET")
	if h := rig.Hop(trace); len(h.Attempts) != 1 {
		t.Errorf("%d attempts, want 1", len(h.Attempts))
	}
}

// TestHTTP1UnsolicitedBytes: what an endpoint sends while nothing was asked of
// it is never an answer.
func TestHTTP1UnsolicitedBytes(t *testing.T) {
	proxytest.NoLeaks(t)
	const evil = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 4\r\n\r\nevil"
	tests := map[string]func(p *proxytest.Peer, idle func()){
		"with the answer": func(p *proxytest.Peer, _ func()) { p.Send(proxytest.EmptyResponse + evil) },
		"later": func(p *proxytest.Peer, idle func()) {
			p.Send(proxytest.EmptyResponse)
			idle() // busy connections are not looked at
			p.Send(evil)
		},
		"behind the answer to HEAD": func(p *proxytest.Peer, _ func()) {
			p.Send("HTTP/1.1 200 OK\r\nContent-Length: 91\r\n\r\n")
			p.Send(evil)
		},
		"and closes": func(p *proxytest.Peer, idle func()) {
			p.Send(proxytest.EmptyResponse)
			idle()
			p.Send(evil)
			p.Close()
		},
	}
	for name, answer := range tests {
		t.Run(name, func(t *testing.T) {
			said := make(chan struct{})
			var rig *proxytest.Proxy
			idle := func() {
				proxytest.Eventually(t, "the connection being idle", func() bool { return rig.Counts().Connections.Idle == 1 })
			}
			rig = proxytest.StartWithViews(t, proxytest.Endpoint(t, func(n int, p *proxytest.Peer) {
				if n == 0 {
					p.ReadHead()
					answer(p, idle)
					close(said)
				}
				for {
					if _, err := p.TryReadHead(); err != nil {
						return
					}
					p.Send(proxytest.EmptyResponse)
				}
			}))
			client := rig.Dial()
			method := "GET"
			if strings.Contains(name, "HEAD") {
				method = "HEAD"
			}
			client.Send(method, " / HTTP/1.1\r\nHost: a\r\n\r\n")
			if resp, _ := client.ReadResponse(method); resp.StatusCode != 200 {
				t.Fatalf("status %d", resp.StatusCode)
			}
			<-said
			for range 3 {
				client.Send(proxytest.RootRequest)
				if resp, body := client.ReadResponse("GET"); resp.StatusCode != 200 || body != "" {
					t.Fatalf("status %d, %q", resp.StatusCode, body)
				}
			}
		})
	}
}

// TestHTTP1TwoEndpoints take turns, whichever comes first.
func TestHTTP1TwoEndpoints(t *testing.T) {
	proxytest.NoLeaks(t)
	name := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, s) }
	}
	a, b := proxytest.Serve(t, name("a")), proxytest.Serve(t, name("b"))
	rig := proxytest.Start(t, a, func(s *proxytest.Settings) { s.Cluster.Endpoints = []string{a, b} })
	client := rig.Dial()
	var got []string
	for range 6 {
		client.Send(proxytest.RootRequest)
		got = append(got, client.ReadOK())
	}
	if turns := strings.Join(got, ""); turns != "ababab" && turns != "bababa" {
		t.Errorf("answered by %q, want them to take turns", got)
	}
}

// TestHTTP1ConnectionRefused says which endpoint it was.
func TestHTTP1ConnectionRefused(t *testing.T) {
	proxytest.NoLeaks(t)
	rig := proxytest.Start(t, "127.0.0.1:1")
	client := rig.Dial()
	for range 2 {
		trace, field := proxytest.NewTrace()
		client.Send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
		resp, body := client.ReadResponse("GET")
		if resp.StatusCode != 503 || resp.Close || !strings.Contains(body, "connection refused by 127.0.0.1:1") {
			t.Errorf("status %d, close %v, %q", resp.StatusCode, resp.Close, body)
		}
		h := rig.Hop(trace)
		if h.Flags.String() != "UF" || h.ProxyError != "connection_refused" || len(h.Attempts) != 1 || h.Attempts[0].Flags.String() != "UF" {
			t.Errorf("flags %q, error %q, attempts %+v", h.Flags, h.ProxyError, h.Attempts)
		}
	}
}

// TestHTTP1PoolIsShared by all clients of a listener, at once.
func TestHTTP1PoolIsShared(t *testing.T) {
	proxytest.NoLeaks(t)
	g := newGated(t)
	rig := proxytest.Start(t, g.address, func(s *proxytest.Settings) { s.Cluster.CircuitBreaker.MaxConnections = 4 })
	go func() {
		for range 200 {
			g.answer <- struct{}{}
		}
	}()
	var wg sync.WaitGroup
	for range 20 {
		client := rig.Dial()
		wg.Go(func() {
			client.Fail = t.Errorf
			for range 10 {
				client.Send(proxytest.RootRequest)
				client.ReadOK()
			}
		})
	}
	wg.Wait()
	if n := g.open.Load(); n > 4 {
		t.Errorf("%d connections are open, want 4 at most", n)
	}
}
