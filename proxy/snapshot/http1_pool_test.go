package snapshot_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

const empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

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
	g.address = endpoint(t, func(n int, p *peer) {
		g.open.Add(1)
		defer g.open.Add(-1)
		for {
			if _, err := p.tryHead(); err != nil {
				return
			}
			g.got <- n
			<-g.answer
			p.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", fmt.Sprintf("%03d", n))
		}
	})
	t.Cleanup(func() { close(g.answer) }) // what is left, before the endpoint ends
	return g
}

const getRoot = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// TestHTTP1PoolIsLastInFirstOut: the connection that was used last is used
// next, so that those that are not needed can grow old.
func TestHTTP1PoolIsLastInFirstOut(t *testing.T) {
	noLeaks(t)
	g := newGated(t)
	rig := startProxy(t, g.address)
	clients := []*peer{rig.dial(), rig.dial(), rig.dial()}
	for i, c := range clients {
		c.send(getRoot)
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
		c.ok()
	}
	for range 10 {
		clients[0].send(getRoot)
		<-g.got
		g.answer <- struct{}{}
		body := clients[0].ok()
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
	noLeaks(t)
	tests := []struct {
		name   string
		change func(*settings)
		keeps  int64
	}{
		{"max_idle 0", func(s *settings) { s.Cluster.MaxIdle = 0 }, 0},
		{"max_idle 2", func(s *settings) { s.Cluster.MaxIdle = 2 }, 2},
		{"idle_timeout", func(s *settings) { s.Cluster.IdleTimeout = 50 * time.Millisecond }, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newGated(t)
			rig := startProxy(t, g.address, tt.change)
			clients := []*peer{rig.dial(), rig.dial(), rig.dial(), rig.dial()}
			for _, c := range clients {
				c.send(getRoot)
				<-g.got
			}
			for range clients {
				g.answer <- struct{}{}
			}
			for _, c := range clients {
				c.ok()
			}
			eventually(rig.t, fmt.Sprintf("%d connections being left", tt.keeps), func() bool { return g.open.Load() == tt.keeps })
		})
	}
}

// TestHTTP1MaxConnections: requests beyond the limit wait, and those beyond
// what may wait are refused.
func TestHTTP1MaxConnections(t *testing.T) {
	noLeaks(t)
	g := newGated(t)
	rig := startLab(t, g.address, func(s *settings) { s.Cluster.CircuitBreaker.MaxConnections, s.Cluster.CircuitBreaker.MaxPending = 2, 3 })
	var clients []*peer
	request := func() (*peer, hop.TraceID) {
		c := rig.dial()
		trace, field := newTrace()
		c.send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
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
	eventually(rig.t, "three requests waiting", func() bool {
		return rig.scrape().sum("hopscope_upstream_requests_pending", "cluster", "web") == 3
	})
	c, refused := request()
	resp, body := c.response("GET")
	if resp.StatusCode != 503 || !strings.Contains(resp.Header.Get("Proxy-Status"), "error=connection_limit_reached") {
		t.Errorf("status %d, %q, %q", resp.StatusCode, resp.Header, body)
	}
	if h := rig.hop(refused); h.Flags.String() != "UO" || h.Status != 503 || h.ProxyError != "connection_limit_reached" {
		t.Errorf("flags %q, status %d, error %s", h.Flags, h.Status, h.ProxyError)
	}
	go func() {
		for range clients {
			g.answer <- struct{}{}
		}
	}()
	for i, c := range clients {
		if body := c.ok(); body != "000" && body != "001" {
			t.Errorf("request %d was answered on connection %s", i, body)
		}
	}
	if n := g.open.Load(); n != 2 {
		t.Errorf("%d connections are open, want 2", n)
	}
}

// TestHTTP1WaiterGivesUp: the route's timeout ends a wait for a connection.
func TestHTTP1WaiterGivesUp(t *testing.T) {
	noLeaks(t)
	g := newGated(t)
	rig := startProxy(t, g.address, func(s *settings) {
		s.Cluster.CircuitBreaker.MaxConnections = 1
		s.Route.Timeout = 500 * time.Millisecond
	})
	first := rig.dial() // its timeout has not begun, as the request has not ended
	first.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	<-g.got
	second := rig.dial()
	trace, field := newTrace()
	second.send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
	if resp, _ := second.response("GET"); resp.StatusCode != 503 {
		t.Errorf("status %d, want 503", resp.StatusCode)
	}
	if h := rig.hop(trace); h.Flags.String() != "UO" {
		t.Errorf("flags %q, want UO", h.Flags)
	}
	first.reset() // and there is room again
	g.answer <- struct{}{}
	second.send(getRoot)
	<-g.got
	g.answer <- struct{}{}
	second.ok()
}

// TestHTTP1Stale: how a pooled connection that died is noticed, and when the
// request is sent again.
func TestHTTP1Stale(t *testing.T) {
	noLeaks(t)
	// deaths are how the endpoint ends its first connection after one answer;
	// the proxy knows of it before the next request, or not.
	deaths := map[string]func(p *peer){
		"closed while idle": func(p *peer) { p.Close() },
		"reset while idle":  (*peer).reset,
		"closed upon the request": func(p *peer) {
			p.head()
			p.Close()
		},
		"reset upon the request": func(p *peer) {
			p.head()
			p.reset()
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
				rig := startProxy(t, endpoint(t, func(n int, p *peer) {
					if n == 0 {
						p.head()
						p.send(empty)
						die(p)
						close(dead)
						return
					}
					for {
						if _, err := p.tryHead(); err != nil {
							return
						}
						p.send(empty)
					}
				}))
				client := rig.dial()
				client.send(getRoot)
				client.ok()
				idle := strings.HasSuffix(how, "idle")
				if idle {
					<-dead
				}
				trace, field := newTrace()
				client.send(fmt.Sprintf(tt.request, field))
				resp, body := client.response(method)
				h := rig.hop(trace)
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
	noLeaks(t)
	rig := startProxy(t, endpoint(t, func(n int, p *peer) {
		p.head()
		if n > 0 {
			p.expect("hello")
		}
		p.send(empty)
		if n == 0 {
			return
		}
		p.rest()
	}))
	client := rig.dial()
	client.send(getRoot)
	client.ok()
	client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
	client.taken()
	client.send("hello")
	// The endpoint closes at once, but may do so too late to be seen.
	if resp, body := client.response("PUT"); resp.StatusCode != 200 && resp.StatusCode != 503 {
		t.Errorf("status %d: %s", resp.StatusCode, body)
	}
}

// TestHTTP1NoRetryLoop: a request is sent again once, not for ever.
func TestHTTP1NoRetryLoop(t *testing.T) {
	noLeaks(t)
	var heads atomic.Int64
	rig := startProxy(t, endpoint(t, func(n int, p *peer) {
		p.head()
		if n == 0 {
			p.send(empty)
			p.head()
		}
		heads.Add(1)
	}))
	client := rig.dial()
	client.send(getRoot)
	client.ok()
	trace, field := newTrace()
	client.send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
	if resp, _ := client.response("GET"); resp.StatusCode != 503 {
		t.Errorf("status %d, want 503", resp.StatusCode)
	}
	h := rig.hop(trace)
	if len(h.Attempts) != 2 || heads.Load() != 2 || h.Flags.String() != "UC" {
		t.Errorf("%d attempts, %d requests at the endpoint, flags %q; want 2, 2, UC", len(h.Attempts), heads.Load(), h.Flags)
	}
	for i, a := range h.Attempts {
		if a.Flags.String() != "UC" || a.Reused != (i == 0) {
			t.Errorf("attempt %d: flags %q, reused %v", i, a.Flags, a.Reused)
		}
	}
	// A fresh connection that fails is no reason to try again.
	trace, field = newTrace()
	client.send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
	client.response("GET")
	if h := rig.hop(trace); len(h.Attempts) != 1 {
		t.Errorf("%d attempts, want 1", len(h.Attempts))
	}
}

// TestHTTP1UnsolicitedBytes: what an endpoint sends while nothing was asked of
// it is never an answer.
func TestHTTP1UnsolicitedBytes(t *testing.T) {
	noLeaks(t)
	const evil = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 4\r\n\r\nevil"
	tests := map[string]func(p *peer){
		"with the answer": func(p *peer) { p.send(empty + evil) },
		"later": func(p *peer) {
			p.send(empty)
			time.Sleep(10 * time.Millisecond) // busy connections are not looked at
			p.send(evil)
		},
		"behind the answer to HEAD": func(p *peer) {
			p.send("HTTP/1.1 200 OK\r\nContent-Length: 91\r\n\r\n")
			p.send(evil)
		},
		"and closes": func(p *peer) {
			p.send(empty)
			time.Sleep(10 * time.Millisecond)
			p.send(evil)
			p.Close()
		},
	}
	for name, answer := range tests {
		t.Run(name, func(t *testing.T) {
			said := make(chan struct{})
			rig := startProxy(t, endpoint(t, func(n int, p *peer) {
				if n == 0 {
					p.head()
					answer(p)
					close(said)
				}
				for {
					if _, err := p.tryHead(); err != nil {
						return
					}
					p.send(empty)
				}
			}))
			client := rig.dial()
			method := "GET"
			if strings.Contains(name, "HEAD") {
				method = "HEAD"
			}
			client.send(method, " / HTTP/1.1\r\nHost: a\r\n\r\n")
			if resp, _ := client.response(method); resp.StatusCode != 200 {
				t.Fatalf("status %d", resp.StatusCode)
			}
			<-said
			for range 3 {
				client.send(getRoot)
				if resp, body := client.response("GET"); resp.StatusCode != 200 || body != "" {
					t.Fatalf("status %d, %q", resp.StatusCode, body)
				}
			}
		})
	}
}

// TestHTTP1TwoEndpoints take turns, whichever comes first.
func TestHTTP1TwoEndpoints(t *testing.T) {
	noLeaks(t)
	name := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, s) }
	}
	a, b := goServer(t, name("a")), goServer(t, name("b"))
	rig := startProxy(t, a, func(s *settings) { s.Cluster.Endpoints = []string{a, b} })
	client := rig.dial()
	var got []string
	for range 6 {
		client.send(getRoot)
		got = append(got, client.ok())
	}
	if turns := strings.Join(got, ""); turns != "ababab" && turns != "bababa" {
		t.Errorf("answered by %q, want them to take turns", got)
	}
}

// TestHTTP1ConnectionRefused says which endpoint it was.
func TestHTTP1ConnectionRefused(t *testing.T) {
	noLeaks(t)
	rig := startProxy(t, "127.0.0.1:1")
	client := rig.dial()
	for range 2 {
		trace, field := newTrace()
		client.send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
		resp, body := client.response("GET")
		if resp.StatusCode != 503 || resp.Close || !strings.Contains(body, "connection refused by 127.0.0.1:1") {
			t.Errorf("status %d, close %v, %q", resp.StatusCode, resp.Close, body)
		}
		h := rig.hop(trace)
		if h.Flags.String() != "UF" || h.ProxyError != "connection_refused" || len(h.Attempts) != 1 || h.Attempts[0].Flags.String() != "UF" {
			t.Errorf("flags %q, error %q, attempts %+v", h.Flags, h.ProxyError, h.Attempts)
		}
	}
}

// TestHTTP1PoolIsShared by all clients of a listener, at once.
func TestHTTP1PoolIsShared(t *testing.T) {
	noLeaks(t)
	g := newGated(t)
	rig := startProxy(t, g.address, func(s *settings) { s.Cluster.CircuitBreaker.MaxConnections = 4 })
	go func() {
		for range 200 {
			g.answer <- struct{}{}
		}
	}()
	var wg sync.WaitGroup
	for range 20 {
		client := rig.dial()
		wg.Go(func() {
			client.fail = t.Errorf
			for range 10 {
				client.send(getRoot)
				client.ok()
			}
		})
	}
	wg.Wait()
	if n := g.open.Load(); n > 4 {
		t.Errorf("%d connections are open, want 4 at most", n)
	}
}
