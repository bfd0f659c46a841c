package snapshot_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hopscope/hopscope/proxy/config"
)

// short is a timeout that a test waits for, and long one that it does not. A
// test that must not run into one sends a piece after each pause, for longer
// than patient, which is many pauses.
const (
	short   = 100 * time.Millisecond
	long    = time.Minute
	pause   = 40 * time.Millisecond
	patient = 10 * pause
	pieces  = 15
)

// mute is an endpoint that takes requests and never answers.
func mute(t *testing.T) string {
	return endpoint(t, func(_ int, p *peer) { p.rest() })
}

// dribble sends bytes with a pause before each.
func (p *peer) dribble() {
	p.t.Helper()
	for range pieces {
		time.Sleep(pause)
		p.send("x")
	}
}

// TestHTTP1HeadTimeout: a head has to be whole in time, however it dribbles in;
// a connection on which nothing came is no request.
func TestHTTP1HeadTimeout(t *testing.T) {
	noLeaks(t)
	rig := startProxy(t, mute(t), func(s *settings) { s.Listener.RequestHeadTimeout = short })

	quiet := rig.dial()
	quiet.closed()
	if n := len(rig.traces()); n != 0 {
		t.Errorf("a silent connection left %d hops", n)
	}

	slow := rig.dial()
	go func() {
		for _, b := range []byte("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: " + strings.Repeat("x", 1000)) {
			if _, err := slow.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(short / 20)
		}
	}()
	resp, body := slow.response("GET")
	if resp.StatusCode != 408 || !resp.Close || !strings.Contains(body, "did not arrive within 100ms") {
		t.Errorf("status %d, close %v, %q", resp.StatusCode, resp.Close, body)
	}
	h := rig.latest(1)
	if h.Flags.String() != "SI" || h.Status != 408 || len(h.Attempts) != 0 {
		t.Errorf("flags %q, status %d, %d attempts", h.Flags, h.Status, len(h.Attempts))
	}
}

// TestHTTP1HeadCutShort: a client that leaves within a head is one Hop.
func TestHTTP1HeadCutShort(t *testing.T) {
	noLeaks(t)
	rig := startProxy(t, mute(t))
	client := rig.dial()
	client.send("GET / HTTP/1.1\r\nHos")
	client.taken()
	client.Close()
	if h := rig.latest(1); h.Flags.String() != "DC" || h.Status != 0 {
		t.Errorf("flags %q, status %d; want DC, 0", h.Flags, h.Status)
	}
	rig.dial().Close() // and one that never sends anything is none
	rig.dial().reset()
	rig.close(patience)
	if n := len(rig.traces()); n != 1 {
		t.Errorf("%d hops, want 1", n)
	}
}

// TestHTTP1IdleTimeout: a connection between two requests is closed without a
// word.
func TestHTTP1IdleTimeout(t *testing.T) {
	noLeaks(t)
	rig := startProxy(t, goServer(t, echo), func(s *settings) { s.Listener.IdleTimeout = short })
	client := rig.dial()
	client.send(getRoot)
	client.ok()
	client.closed()
	if n := len(rig.traces()); n != 1 {
		t.Errorf("%d hops, want 1", n)
	}
}

// TestHTTP1RouteTimeout before the head, and within the content.
func TestHTTP1RouteTimeout(t *testing.T) {
	noLeaks(t)
	t.Run("before the head", func(t *testing.T) {
		for _, request := range []string{"GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", "POST / HTTP/1.1\r\nHost: a\r\n%sContent-Length: 2\r\n\r\nhi", "POST / HTTP/1.1\r\nHost: a\r\n%sTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"} {
			rig := startProxy(t, mute(t), func(s *settings) { s.Route.Timeout = short })
			client := rig.dial()
			trace, field := newTrace()
			client.send(fmt.Sprintf(request, field))
			if resp, body := client.response("GET"); resp.StatusCode != 504 || !strings.Contains(body, "within the route's timeout") {
				t.Errorf("status %d, %q", resp.StatusCode, body)
			}
			h := rig.hop(trace)
			if h.Flags.String() != "UT" || h.Attempts[0].Flags.String() != "UT" || h.End < short {
				t.Errorf("flags %q, of the attempt %q, after %v", h.Flags, h.Attempts[0].Flags, h.End)
			}
		}
	})
	t.Run("behind interim responses", func(t *testing.T) {
		rig := startProxy(t, endpoint(t, func(_ int, p *peer) {
			p.head()
			for {
				if _, err := p.Write([]byte("HTTP/1.1 102 Processing\r\n\r\n")); err != nil {
					return
				}
				time.Sleep(short / 10)
			}
		}), func(s *settings) { s.Route.Timeout = short })
		client := rig.dial()
		trace, field := newTrace()
		client.send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
		first := ""
		for first = "HTTP/1.1 102 Processing"; first == "HTTP/1.1 102 Processing"; {
			first, _ = client.head()
		}
		if h := rig.hop(trace); h.Flags.String() != "UT" || first != "HTTP/1.1 504 Gateway Timeout" {
			t.Errorf("flags %q, %q", h.Flags, first)
		}
	})
	t.Run("within the content", func(t *testing.T) {
		rig := startProxy(t, endpoint(t, func(_ int, p *peer) {
			p.head()
			p.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			for { // it goes on and on
				if _, err := p.Write([]byte("1\r\nx\r\n")); err != nil {
					return
				}
				time.Sleep(short / 20)
			}
		}), func(s *settings) { s.Route.Timeout = short })
		client := rig.dial()
		trace, field := newTrace()
		client.send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
		client.head()
		if rest, _ := client.rest(); strings.HasSuffix(rest, "0\r\n\r\n") {
			t.Errorf("the response looks whole: %q", rest)
		}
		if h := rig.hop(trace); h.Flags.String() != "UT" || h.Status != 200 {
			t.Errorf("flags %q, status %d", h.Flags, h.Status)
		}
	})
	t.Run("not while the request is sent", func(t *testing.T) {
		rig := startProxy(t, goServer(t, echo), func(s *settings) { s.Route.Timeout = patient })
		client := rig.dial()
		client.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", pieces))
		client.dribble()
		if body := client.ok(); body != "/ "+strings.Repeat("x", pieces) {
			t.Errorf("body %q", body)
		}
	})
	t.Run("none", func(t *testing.T) {
		rig := startProxy(t, endpoint(t, func(_ int, p *peer) {
			p.head()
			time.Sleep(2 * short)
			p.send(empty)
		}), func(s *settings) { s.Route.Timeout = 0 })
		client := rig.dial()
		client.send(getRoot)
		client.ok()
	})
}

// TestHTTP1StreamIdle ends an exchange in which no byte moves, and none in
// which some do, in whatever direction.
func TestHTTP1StreamIdle(t *testing.T) {
	noLeaks(t)
	idle := func(s *settings) { s.Listener.StreamIdleTimeout, s.Route.Timeout = short, long }
	lasting := func(s *settings) { s.Listener.StreamIdleTimeout, s.Route.Timeout = patient, long }
	t.Run("the endpoint does not answer", func(t *testing.T) {
		rig := startProxy(t, mute(t), idle)
		client := rig.dial()
		trace, field := newTrace()
		client.send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
		if resp, _ := client.response("GET"); resp.StatusCode != 504 {
			t.Errorf("status %d, want 504", resp.StatusCode)
		}
		if h := rig.hop(trace); h.Flags.String() != "SI" {
			t.Errorf("flags %q, want SI", h.Flags)
		}
	})
	t.Run("the endpoint stops within its content", func(t *testing.T) {
		rig := startProxy(t, endpoint(t, func(_ int, p *peer) {
			p.head()
			p.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
			p.rest()
		}), idle)
		client := rig.dial()
		trace, field := newTrace()
		client.send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
		client.head()
		if rest, _ := client.rest(); rest != "hello" {
			t.Errorf("received %q", rest)
		}
		if h := rig.hop(trace); h.Flags.String() != "SI" || h.Status != 200 {
			t.Errorf("flags %q, status %d; want SI, 200", h.Flags, h.Status)
		}
	})
	t.Run("the client stops within its content", func(t *testing.T) {
		rig := startProxy(t, mute(t), idle)
		client := rig.dial()
		trace, field := newTrace()
		client.send("POST / HTTP/1.1\r\nHost: a\r\n", field, "Content-Length: 10\r\n\r\nhello")
		resp, _ := client.response("POST")
		if resp.StatusCode != 408 && resp.StatusCode != 504 || !resp.Close {
			t.Errorf("status %d, close %v", resp.StatusCode, resp.Close)
		}
		if h := rig.hop(trace); h.Flags.String() != "SI" || h.BytesIn != 5 {
			t.Errorf("flags %q, %d bytes in; want SI, 5", h.Flags, h.BytesIn)
		}
	})
	t.Run("the client does not read", func(t *testing.T) {
		rig := startProxy(t, endpoint(t, func(_ int, p *peer) {
			p.head()
			p.send("HTTP/1.1 200 OK\r\n\r\n")
			io.Copy(p.TCPConn, newSource(64<<20))
		}), idle)
		client := rig.dial()
		trace, field := newTrace()
		client.send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
		if h := rig.hop(trace); h.Flags.String() != "SI" || h.Status != 200 {
			t.Errorf("flags %q, status %d; want SI, 200", h.Flags, h.Status)
		}
	})
	t.Run("the endpoint does not read", func(t *testing.T) {
		over := make(chan struct{})
		rig := startProxy(t, endpoint(t, func(_ int, p *peer) { p.head(); <-over }), idle)
		defer close(over)
		client := rig.dial()
		trace, field := newTrace()
		client.send("POST / HTTP/1.1\r\nHost: a\r\n", field, fmt.Sprintf("Content-Length: %d\r\n\r\n", 64<<20))
		go func() {
			client.SetWriteDeadline(timeLimit())
			io.Copy(client.TCPConn, newSource(64<<20))
		}()
		if resp, _ := client.response("POST"); resp.StatusCode != 504 || !resp.Close {
			t.Errorf("status %d, close %v; want 504, true", resp.StatusCode, resp.Close)
		}
		if h := rig.hop(trace); h.Flags.String() != "SI" {
			t.Errorf("flags %q, want SI", h.Flags)
		}
	})
	t.Run("the request moves", func(t *testing.T) {
		rig := startProxy(t, goServer(t, echo), lasting)
		client := rig.dial()
		client.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", pieces))
		client.dribble()
		if body := client.ok(); body != "/ "+strings.Repeat("x", pieces) {
			t.Errorf("body %q", body)
		}
	})
	t.Run("the response moves", func(t *testing.T) {
		rig := startProxy(t, endpoint(t, func(_ int, p *peer) {
			p.head()
			p.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", pieces))
			p.dribble()
		}), lasting)
		client := rig.dial()
		// Its content does not: it waits for the response.
		client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nh")
		if body := client.ok(); body != strings.Repeat("x", pieces) {
			t.Errorf("body %q", body)
		}
	})
	t.Run("the connection goes on", func(t *testing.T) {
		// A write that had to wait leaves nothing behind that ends a later one.
		rig := startProxy(t, endpoint(t, func(_ int, p *peer) {
			for {
				if _, err := p.tryHead(); err != nil {
					return
				}
				p.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 16<<20))
				io.Copy(p.TCPConn, newSource(16<<20))
			}
		}), lasting)
		client := rig.dial()
		for range 2 {
			client.send(getRoot)
			time.Sleep(pause) // the buffers fill
			if body := client.ok(); len(body) != 16<<20 {
				t.Errorf("%d bytes", len(body))
			}
			time.Sleep(2 * patient)
		}
	})
}

// TestHTTP1TunnelIdle: a tunnel ends when no byte moves in either direction.
func TestHTTP1TunnelIdle(t *testing.T) {
	noLeaks(t)
	idle := func(s *settings) { s.Egress.StreamIdleTimeout = short }
	t.Run("nothing moves", func(t *testing.T) {
		destination := mute(t)
		rig := startProxy(t, destination, idle)
		client := dialPeer(t, rig.egress())
		trace, field := newTrace()
		client.send("CONNECT ", destination, " HTTP/1.1\r\nHost: x\r\n", field, "\r\n")
		client.head()
		if rest, _ := client.rest(); rest != "" {
			t.Errorf("received %q", rest)
		}
		if h := rig.hop(trace); h.Flags.String() != "SI" || h.Status != 200 {
			t.Errorf("flags %q, status %d; want SI, 200", h.Flags, h.Status)
		}
	})
	t.Run("one direction moves", func(t *testing.T) {
		destination := endpoint(t, func(_ int, p *peer) { p.dribble() })
		rig := startProxy(t, destination, func(s *settings) { s.Egress.StreamIdleTimeout = patient })
		client := dialPeer(t, rig.egress())
		client.send("CONNECT ", destination, " HTTP/1.1\r\nHost: x\r\n\r\n")
		client.head()
		client.expect(strings.Repeat("x", pieces))
		client.CloseWrite()
		client.closed()
	})
	t.Run("the endpoint does not read", func(t *testing.T) {
		over := make(chan struct{})
		destination := endpoint(t, func(_ int, p *peer) { <-over })
		rig := startProxy(t, destination, idle)
		defer close(over)
		client := dialPeer(t, rig.egress())
		trace, field := newTrace()
		client.send("CONNECT ", destination, " HTTP/1.1\r\nHost: x\r\n", field, "\r\n")
		client.head()
		client.SetWriteDeadline(timeLimit())
		io.Copy(client.TCPConn, newSource(64<<20)) // until it is cut
		if h := rig.hop(trace); h.Flags.String() != "SI" {
			t.Errorf("flags %q, want SI", h.Flags)
		}
	})
}

// TestHTTP1ConnectTimeout: an endpoint whose queue of connections is full does
// not answer.
func TestHTTP1ConnectTimeout(t *testing.T) {
	noLeaks(t)
	address := fullQueue(t)
	rig := startProxy(t, address, func(s *settings) { s.Cluster.ConnectTimeout = short })
	client := rig.dial()
	trace, field := newTrace()
	client.send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
	resp, body := client.response("GET")
	if resp.StatusCode != 503 || !strings.Contains(body, "did not accept a connection within 100ms") {
		t.Errorf("status %d, %q", resp.StatusCode, body)
	}
	h := rig.hop(trace)
	if h.Flags.String() != "UF" || h.ProxyError != "connection_timeout" || h.End < short {
		t.Errorf("flags %q, error %q, after %v", h.Flags, h.ProxyError, h.End)
	}
}

// fullQueue is the address of a listener that accepts nothing more.
func fullQueue(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.CloseOnExec(fd)
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	for range 100 {
		c, err := net.DialTimeout("tcp", address, short)
		if err != nil {
			return address
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Skip("the queue of a listener has no end here")
	return ""
}

// TestHTTP1ListenerMaxConnections: further connections wait, and are served
// when one ends.
func TestHTTP1ListenerMaxConnections(t *testing.T) {
	noLeaks(t)
	rig := startProxy(t, goServer(t, echo), func(s *settings) { s.Listener.MaxConnections = 2 })
	var clients []*peer
	for range 4 {
		c := rig.dial()
		c.send(getRoot)
		clients = append(clients, c)
	}
	for _, c := range clients[:2] {
		c.ok()
	}
	for _, c := range clients[2:] {
		c.SetReadDeadline(time.Now().Add(short / 2))
		if _, err := c.r.Peek(1); err == nil {
			t.Fatal("a connection beyond the limit was served")
		}
	}
	clients[0].Close()
	clients[2].ok()
	clients[1].Close()
	clients[3].ok()
}

// TestHTTP1DefaultTimeouts are those that are promised.
func TestHTTP1DefaultTimeouts(t *testing.T) {
	l, r, c := config.NewListener("a", ":0"), config.NewRoute("a"), config.NewCluster("a:1")
	got := []time.Duration{l.RequestHeadTimeout, r.Timeout, l.IdleTimeout, l.StreamIdleTimeout, c.ConnectTimeout}
	want := []time.Duration{10 * time.Second, 15 * time.Second, time.Hour, 5 * time.Minute, 5 * time.Second}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("timeout %d is %v, want %v", i, got[i], want[i])
		}
	}
	if l.MaxHeaderBytes != 60<<10 || l.MaxHeaderFields != 100 {
		t.Errorf("%d bytes, %d fields", l.MaxHeaderBytes, l.MaxHeaderFields)
	}
}
