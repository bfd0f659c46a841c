package http1_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// sendLast sends all of it and closes the sending side, in one segment: so it does
// not matter how busy the machine is.
func sendLast(p *proxytest.Peer, parts ...string) {
	p.T.Helper()
	cork(p, 1)
	p.Send(parts...)
	p.CloseWrite()
}

// cork has the kernel keep back what does not fill a segment, or send it.
func cork(p *proxytest.Peer, on int) {
	p.T.Helper()
	raw, err := p.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CORK, on) })
	}
	if err != nil {
		p.Fail("%v", err)
	}
}

// These times are slept through because it is their passing that is tested: nothing has to
// have happened by their end, and a busy machine only makes them longer.
const (
	// beyond is longer than a client may take to half-close.
	beyond = 150 * time.Millisecond
	// looked is so long that the proxy has looked at its client meanwhile.
	looked = 700 * time.Millisecond
)

// latish answers late enough for the proxy to have looked at its client.
func latish(w http.ResponseWriter, r *http.Request) {
	time.Sleep(looked)
	proxytest.Echo(w, r)
}

// TestHalfClose: a client that closes its side with its request gets the answer, after
// which the connection ends.
func TestHalfClose(t *testing.T) {
	const post = "POST /upload HTTP/1.1\r\nHost: a\r\n"
	for _, tt := range []struct {
		name, request string
		answers       []string
	}{
		{"GET", "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n", []string{"/1 "}},
		{"HTTP/1.0", "GET /1 HTTP/1.0\r\n\r\n", []string{"/1 "}},
		{"Connection: close", "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", []string{"/1 "}},
		{"content", post + "Content-Length: 5\r\n\r\nabcde", []string{"/upload abcde"}},
		{"much content", post + "Content-Length: 300000\r\n\r\n" + proxytest.Pattern(300_000), []string{"/upload " + proxytest.Pattern(300_000)}},
		{"chunks", post + "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n", []string{"/upload abcde"}},
		{"a line too many", "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\r\n", []string{"/1 "}},
		{"several requests", strings.Repeat("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n", 3), []string{"/1 ", "/1 ", "/1 "}},
		{"content, and a request behind it", post + "Content-Length: 5\r\n\r\nabcdeGET /2 HTTP/1.1\r\nHost: a\r\n\r\n", []string{"/upload abcde", "/2 "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rig := proxytest.Start(t, proxytest.Serve(t, latish))
			client := rig.Dial()
			sendLast(client, tt.request)
			for i, want := range tt.answers {
				resp, body := client.ReadResponse("GET")
				if resp.StatusCode != 200 || body != want {
					t.Errorf("answer %d: status %d, %.60q", i, resp.StatusCode, body)
				}
				if last := i == len(tt.answers)-1; last && !resp.Close {
					t.Error("the answer does not say that the connection ends")
				}
			}
			client.ExpectEnd()
			for _, s := range rig.Traces() {
				if s.Flags != 0 || s.Status != 200 {
					t.Errorf("flags %s, status %d: %s", s.Flags, s.Status, s.Failure.Reason)
				}
			}
		})
	}
}

// TestHalfCloseWithinTheContent: what was to follow does not come, so the request is
// given up.
func TestHalfCloseWithinTheContent(t *testing.T) {
	rig := proxytest.Start(t, proxytest.Serve(t, latish))
	client := rig.Dial()
	sendLast(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nsome")
	if h := rig.LatestHop(1); h.Flags.String() != "DC" || h.Status != 0 {
		t.Errorf("flags %q, status %d", h.Flags, h.Status)
	}
}

// TestCloseThatIsLate: a client that closes its side some time after its request is
// gone, and so is one that resets the connection, whenever it does so.
func TestCloseThatIsLate(t *testing.T) {
	proxytest.NoLeaks(t)
	for _, tt := range []struct {
		name, mode string
		request    string
		leave      func(p *proxytest.Peer)
	}{
		{"close", "late", "GET / HTTP/1.1\r\nHost: a\r\n", func(p *proxytest.Peer) { time.Sleep(beyond); p.Close() }},
		{"FIN", "late", "GET / HTTP/1.1\r\nHost: a\r\n", func(p *proxytest.Peer) { time.Sleep(beyond); p.CloseWrite() }},
		{"FIN when it was looked at", "late", "GET / HTTP/1.1\r\nHost: a\r\n", func(p *proxytest.Peer) { time.Sleep(looked); p.CloseWrite() }},
		{"FIN behind content", "late", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n", func(p *proxytest.Peer) { p.Send("abcde"); time.Sleep(beyond); p.CloseWrite() }},
		{"FIN at once, where that counts", "always", "GET / HTTP/1.1\r\nHost: a\r\n", func(p *proxytest.Peer) { p.CloseWrite() }},
		{"reset", "late", "GET / HTTP/1.1\r\nHost: a\r\n", (*proxytest.Peer).Reset},
		{"reset where no close counts", "never", "GET / HTTP/1.1\r\nHost: a\r\n", (*proxytest.Peer).Reset},
		{"FIN, then reset", "late", "GET / HTTP/1.1\r\nHost: a\r\n", func(p *proxytest.Peer) { p.CloseWrite(); time.Sleep(looked); p.Reset() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked, told := make(chan struct{}), make(chan struct{})
			rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
				p.ReadHead()
				close(asked)
				p.ReadRest()
				close(told)
			}), func(s *proxytest.Settings) { s.Listener.AbortOnClose = tt.mode })
			client := rig.Dial()
			trace, field := proxytest.NewTrace()
			client.Send(tt.request, field, "\r\n")
			<-asked
			tt.leave(client)
			<-told
			h := rig.Hop(trace)
			if h.Flags.String() != "DC" || h.Status != 0 || len(h.Attempts) != 1 || h.Attempts[0].Flags.String() != "DC" {
				t.Errorf("flags %q, status %d, %d attempts; want DC, 0, 1", h.Flags, h.Status, len(h.Attempts))
			}
		})
	}
}

// TestCloseThatNeverCounts is answered however late the client closes its side.
func TestCloseThatNeverCounts(t *testing.T) {
	asked, closed := make(chan struct{}), make(chan struct{})
	rig := proxytest.Start(t, proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-closed
		latish(w, r)
	}), func(s *proxytest.Settings) { s.Listener.AbortOnClose = "never" })
	client := rig.Dial()
	client.Send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
	<-asked
	time.Sleep(looked)
	client.CloseWrite()
	close(closed)
	if resp, body := client.ReadResponse("GET"); body != "/1 " || !resp.Close {
		t.Errorf("body %q, close %t", body, resp.Close)
	}
	client.ExpectEnd()
}

// TestHalfCloseWhileItWaits: the client has said all, and its request waits for
// something else than the endpoint's answer.
func TestHalfCloseWhileItWaits(t *testing.T) {
	second := func(n int32) bool { return n > 1 }
	for _, tt := range []struct {
		name   string
		change func(*proxytest.Settings)
		act    func(n int32, w http.ResponseWriter, r *http.Request)
	}{
		{"for a retry", func(s *proxytest.Settings) {
			s.Cluster.Retry = proxytest.Retrying(2, "5xx")
			s.Cluster.Retry.Backoff.Base, s.Cluster.Retry.Backoff.Max = looked, looked
		}, func(n int32, w http.ResponseWriter, r *http.Request) {
			if second(n) {
				latish(w, r)
			} else {
				w.WriteHeader(503)
			}
		}},
		{"for a response that begins and pauses", func(*proxytest.Settings) {}, func(_ int32, w http.ResponseWriter, r *http.Request) {
			for range 3 {
				io.WriteString(w, "/1 ")
				http.NewResponseController(w).Flush()
				time.Sleep(looked)
			}
		}},
		{"for one of several attempts", proxytest.Hedging(2), func(_ int32, w http.ResponseWriter, r *http.Request) { latish(w, r) }},
		{"behind interim responses", func(*proxytest.Settings) {}, func(_ int32, w http.ResponseWriter, r *http.Request) {
			for range 3 {
				w.WriteHeader(103)
				time.Sleep(looked)
			}
			proxytest.Echo(w, r)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int32
			act := func(w http.ResponseWriter, r *http.Request) { tt.act(n.Add(1), w, r) }
			rig := proxytest.Start(t, proxytest.Serve(t, act), tt.change, func(s *proxytest.Settings) {
				s.Cluster.Endpoints = append(s.Cluster.Endpoints, proxytest.Serve(t, act))
			})
			client := rig.Dial()
			sendLast(client, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
			rest, err := client.ReadRest()
			if err != nil || !strings.Contains(rest, "HTTP/1.1 200 OK\r\n") || !strings.Contains(rest, "/1 ") {
				t.Errorf("the client got %q, %v", rest, err)
			}
			if h := rig.LatestHop(1); h.Flags != 0 || h.Status != 200 {
				t.Errorf("flags %q, status %d: %s", h.Flags, h.Status, h.Failure.Reason)
			}
		})
	}
}

// TestHalfCloseInTheQueue: requests of half-closed clients wait for a connection.
func TestHalfCloseInTheQueue(t *testing.T) {
	rig := proxytest.Start(t, proxytest.Serve(t, latish), func(s *proxytest.Settings) { s.Cluster.CircuitBreaker.MaxConnections = 1 })
	var all []*proxytest.Peer
	for range 3 {
		client := rig.Dial()
		sendLast(client, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
		all = append(all, client)
	}
	for _, client := range all {
		if body := client.ReadOK(); body != "/1 " {
			t.Errorf("body %q", body)
		}
		client.ExpectEnd()
	}
}

// TestTLSHalfClose: over TLS a close_notify is what a FIN is without, with a FIN
// behind it or not.
func TestTLSHalfClose(t *testing.T) {
	ca := proxytest.NewAuthority(t)
	announce := func(p *proxytest.TLSPeer) { p.TLS.CloseWrite() }
	end := func(p *proxytest.TLSPeer) { p.TLS.CloseWrite(); p.CloseWrite() }
	for _, tt := range []struct {
		name, version string
		after         time.Duration
		leave         func(*proxytest.TLSPeer)
		answered      bool
	}{
		{name: "close_notify", leave: announce, answered: true},
		{name: "close_notify and FIN", leave: end, answered: true},
		{name: "FIN alone", leave: func(p *proxytest.TLSPeer) { p.CloseWrite() }, answered: true},
		{name: "late close_notify", after: beyond, leave: announce},
		{name: "late close_notify and FIN", after: beyond, leave: end},
		{name: "late close", after: beyond, leave: func(p *proxytest.TLSPeer) { p.TLS.Close() }},
		{name: "late close_notify in TLS 1.2", version: "1.2", after: beyond, leave: announce},
		{name: "FIN long after the close_notify", leave: func(p *proxytest.TLSPeer) { p.TLS.CloseWrite(); time.Sleep(looked); p.CloseWrite() }},
		{name: "reset after the close_notify", leave: func(p *proxytest.TLSPeer) { p.TLS.CloseWrite(); p.Reset() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			asked, over := make(chan struct{}), make(chan struct{})
			address := proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				close(asked)
				if tt.answered {
					latish(w, r)
					return
				}
				<-r.Context().Done()
				close(over)
			})
			rig := proxytest.Start(t, address, func(s *proxytest.Settings) {
				proxytest.ListenTLS(&s.Listener, ca.Issue("web.test"))
				if tt.version != "" {
					s.Listener.TLS.MaxVersion = tt.version
				}
			})
			client := proxytest.DialTLS(t, rig.Ingress(), ca.ClientConfig("web.test"))
			trace, field := proxytest.NewTrace()
			if tt.answered { // all of it leaves at once
				cork(client.Peer, 1)
			}
			client.Send("GET /1 HTTP/1.1\r\nHost: web.test\r\n", field, "\r\n")
			if !tt.answered {
				<-asked
			}
			time.Sleep(tt.after)
			tt.leave(client)
			if tt.answered {
				cork(client.Peer, 0)
				if body := client.ReadOK(); body != "/1 " {
					t.Errorf("body %q", body)
				}
				client.ExpectEnd()
				return
			}
			<-over
			if h := rig.Hop(trace); h.Flags.String() != "DC" || h.Status != 0 {
				t.Errorf("flags %q, status %d; want DC, 0", h.Flags, h.Status)
			}
		})
	}
}

// TestHTTP2ConnectionEnd: HTTP/2 half-closes a stream; a client that ends its side of
// the connection can't open a window or answer a PING any more, and has left.
func TestHTTP2ConnectionEnd(t *testing.T) {
	over := make(chan struct{})
	rig := proxytest.Start(t, proxytest.Serve(t, func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(over)
	}), func(s *proxytest.Settings) { s.Listener.AbortOnClose = "never" })
	f := proxytest.DialHTTP2(t, rig.Ingress())
	f.Ask(true, "GET", "/")
	f.Conn.(*net.TCPConn).CloseWrite()
	<-over
	if h := rig.LatestHop(1); h.Flags.String() != "DC" || h.Status != 0 {
		t.Errorf("flags %q, status %d; want DC, 0", h.Flags, h.Status)
	}
}
