package http1_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// Tests that must not run into a timeout are Unhurried: a peer sends a piece after each
// pause, for longer than patient(pause), which is many pauses.
const (
	pause  = 40 * time.Millisecond
	pieces = 15
	// long is a timeout that no test waits for.
	long = time.Minute
)

func patient(pause time.Duration) time.Duration { return 10 * pause }

// mute is an endpoint that takes requests and never answers.
func mute(t *testing.T) string {
	return proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) { p.ReadRest() })
}

// dribble sends bytes with a pause before each: that time passes between them is what is
// tested.
func dribble(p *proxytest.Peer, pause time.Duration) {
	p.T.Helper()
	for range pieces {
		time.Sleep(pause)
		p.Send("x")
	}
}

// TestHTTP1HeadTimeout: a head has to be whole in time, however it dribbles in;
// a connection on which nothing came is no request.
func TestHTTP1HeadTimeout(t *testing.T) {
	proxytest.NoLeaks(t)
	rig := proxytest.Start(t, mute(t), func(s *proxytest.Settings) { s.Listener.RequestHeadTimeout = proxytest.Short })

	quiet := rig.Dial()
	quiet.ExpectEnd()
	if n := len(rig.Traces()); n != 0 {
		t.Errorf("a silent connection left %d hops", n)
	}

	slow := rig.Dial()
	go func() {
		for _, b := range []byte("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: " + strings.Repeat("x", 1000)) {
			if _, err := slow.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(proxytest.Short / 20) // so that it would take ten times as long as it may
		}
	}()
	resp, body := slow.ReadResponse("GET")
	if resp.StatusCode != 408 || !resp.Close || !strings.Contains(body, "did not arrive within 100ms") {
		t.Errorf("status %d, close %v, %q", resp.StatusCode, resp.Close, body)
	}
	h := rig.LatestHop(1)
	if h.Flags.String() != "SI" || h.Status != 408 || len(h.Attempts) != 0 {
		t.Errorf("flags %q, status %d, %d attempts", h.Flags, h.Status, len(h.Attempts))
	}
}

// TestHTTP1HeadCutShort: a client that leaves within a head is one Hop.
func TestHTTP1HeadCutShort(t *testing.T) {
	proxytest.NoLeaks(t)
	rig := proxytest.Start(t, mute(t))
	client := rig.Dial()
	client.Send("GET / HTTP/1.1\r\nHos")
	client.AwaitRead()
	client.Close()
	if h := rig.LatestHop(1); h.Flags.String() != "DC" || h.Status != 0 {
		t.Errorf("flags %q, status %d; want DC, 0", h.Flags, h.Status)
	}
	rig.Dial().Close() // and one that never sends anything is none
	rig.Dial().Reset()
	rig.CloseWithin(proxytest.Patience)
	if n := len(rig.Traces()); n != 1 {
		t.Errorf("%d hops, want 1", n)
	}
}

// TestHTTP1IdleTimeout: a connection between two requests is closed without a
// word.
func TestHTTP1IdleTimeout(t *testing.T) {
	proxytest.NoLeaks(t)
	rig := proxytest.Start(t, proxytest.Serve(t, proxytest.Echo), func(s *proxytest.Settings) { s.Listener.IdleTimeout = proxytest.Short })
	client := rig.Dial()
	client.Send(proxytest.RootRequest)
	client.ReadOK()
	client.ExpectEnd()
	if n := len(rig.Traces()); n != 1 {
		t.Errorf("%d hops, want 1", n)
	}
}

// TestHTTP1RouteTimeout before the head, and within the content.
func TestHTTP1RouteTimeout(t *testing.T) {
	proxytest.NoLeaks(t)
	t.Run("before the head", func(t *testing.T) {
		for _, request := range []string{"GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", "POST / HTTP/1.1\r\nHost: a\r\n%sContent-Length: 2\r\n\r\nhi", "POST / HTTP/1.1\r\nHost: a\r\n%sTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"} {
			rig := proxytest.Start(t, mute(t), func(s *proxytest.Settings) { s.Route.Timeout = proxytest.Short })
			client := rig.Dial()
			trace, field := proxytest.NewTrace()
			client.Send(fmt.Sprintf(request, field))
			if resp, body := client.ReadResponse("GET"); resp.StatusCode != 504 || !strings.Contains(body, "within the route's timeout") {
				t.Errorf("status %d, %q", resp.StatusCode, body)
			}
			h := rig.Hop(trace)
			if h.Flags.String() != "UT" || h.Attempts[0].Flags.String() != "UT" || h.End < proxytest.Short {
				t.Errorf("flags %q, of the attempt %q, after %v", h.Flags, h.Attempts[0].Flags, h.End)
			}
		}
	})
	t.Run("behind interim responses", func(t *testing.T) {
		rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
			p.ReadHead()
			for {
				if _, err := p.Write([]byte("HTTP/1.1 102 Processing\r\n\r\n")); err != nil {
					return
				}
				time.Sleep(proxytest.Short / 10) // so that the client is not flooded
			}
		}), func(s *proxytest.Settings) { s.Route.Timeout = proxytest.Short })
		client := rig.Dial()
		trace, field := proxytest.NewTrace()
		client.Send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
		first := ""
		for first = "HTTP/1.1 102 Processing"; first == "HTTP/1.1 102 Processing"; {
			first, _ = client.ReadHead()
		}
		if h := rig.Hop(trace); h.Flags.String() != "UT" || first != "HTTP/1.1 504 Gateway Timeout" {
			t.Errorf("flags %q, %q", h.Flags, first)
		}
	})
	t.Run("within the content", func(t *testing.T) {
		rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
			p.ReadHead()
			p.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			for { // it goes on and on
				if _, err := p.Write([]byte("1\r\nx\r\n")); err != nil {
					return
				}
				time.Sleep(proxytest.Short / 20) // so that the client is not flooded
			}
		}), func(s *proxytest.Settings) { s.Route.Timeout = proxytest.Short })
		client := rig.Dial()
		trace, field := proxytest.NewTrace()
		client.Send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
		client.ReadHead()
		if rest, _ := client.ReadRest(); strings.HasSuffix(rest, "0\r\n\r\n") {
			t.Errorf("the response looks whole: %q", rest)
		}
		if h := rig.Hop(trace); h.Flags.String() != "UT" || h.Status != 200 {
			t.Errorf("flags %q, status %d", h.Flags, h.Status)
		}
	})
	t.Run("not while the request is sent", func(t *testing.T) {
		proxytest.Unhurried(t, pause, func(t testing.TB, pause time.Duration) {
			rig := proxytest.Start(t, proxytest.Serve(t, proxytest.Echo), func(s *proxytest.Settings) { s.Route.Timeout = patient(pause) })
			client := rig.Dial()
			client.Send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", pieces))
			dribble(client, pause)
			if body := client.ReadOK(); body != "/ "+strings.Repeat("x", pieces) {
				t.Errorf("body %q", body)
			}
		})
	})
	t.Run("none", func(t *testing.T) {
		rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
			p.ReadHead()
			time.Sleep(2 * proxytest.Short) // 0 is not the shortest of timeouts
			p.Send(proxytest.EmptyResponse)
		}), func(s *proxytest.Settings) { s.Route.Timeout = 0 })
		client := rig.Dial()
		client.Send(proxytest.RootRequest)
		client.ReadOK()
	})
}

// TestHTTP1StreamIdle ends an exchange in which no byte moves, and none in
// which some do, in whatever direction.
func TestHTTP1StreamIdle(t *testing.T) {
	proxytest.NoLeaks(t)
	idle := func(s *proxytest.Settings) { s.Listener.StreamIdleTimeout, s.Route.Timeout = proxytest.Short, long }
	lasting := func(pause time.Duration) func(*proxytest.Settings) {
		return func(s *proxytest.Settings) { s.Listener.StreamIdleTimeout, s.Route.Timeout = patient(pause), long }
	}
	t.Run("the endpoint does not answer", func(t *testing.T) {
		rig := proxytest.Start(t, mute(t), idle)
		client := rig.Dial()
		trace, field := proxytest.NewTrace()
		client.Send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
		if resp, _ := client.ReadResponse("GET"); resp.StatusCode != 504 {
			t.Errorf("status %d, want 504", resp.StatusCode)
		}
		if h := rig.Hop(trace); h.Flags.String() != "SI" {
			t.Errorf("flags %q, want SI", h.Flags)
		}
	})
	t.Run("the endpoint stops within its content", func(t *testing.T) {
		rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
			p.ReadHead()
			p.Send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
			p.ReadRest()
		}), idle)
		client := rig.Dial()
		trace, field := proxytest.NewTrace()
		client.Send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
		client.ReadHead()
		if rest, _ := client.ReadRest(); rest != "hello" {
			t.Errorf("received %q", rest)
		}
		if h := rig.Hop(trace); h.Flags.String() != "SI" || h.Status != 200 {
			t.Errorf("flags %q, status %d; want SI, 200", h.Flags, h.Status)
		}
	})
	t.Run("the client stops within its content", func(t *testing.T) {
		rig := proxytest.Start(t, mute(t), idle)
		client := rig.Dial()
		trace, field := proxytest.NewTrace()
		client.Send("POST / HTTP/1.1\r\nHost: a\r\n", field, "Content-Length: 10\r\n\r\nhello")
		resp, _ := client.ReadResponse("POST")
		if resp.StatusCode != 408 && resp.StatusCode != 504 || !resp.Close {
			t.Errorf("status %d, close %v", resp.StatusCode, resp.Close)
		}
		if h := rig.Hop(trace); h.Flags.String() != "SI" || h.BytesIn != 5 {
			t.Errorf("flags %q, %d bytes in; want SI, 5", h.Flags, h.BytesIn)
		}
	})
	t.Run("the client does not read", func(t *testing.T) {
		rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
			p.ReadHead()
			p.Send("HTTP/1.1 200 OK\r\n\r\n")
			io.Copy(p.TCPConn, proxytest.NewSource(64<<20))
		}), idle)
		client := rig.Dial()
		trace, field := proxytest.NewTrace()
		client.Send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
		if h := rig.Hop(trace); h.Flags.String() != "SI" || h.Status != 200 {
			t.Errorf("flags %q, status %d; want SI, 200", h.Flags, h.Status)
		}
	})
	unhurried := func(name string, test func(t testing.TB, pause time.Duration)) {
		t.Run(name, func(t *testing.T) { proxytest.Unhurried(t, pause, test) })
	}
	// Its client does not stop: it fills the buffers, which has to take less than the timeout.
	unhurried("the endpoint does not read", func(t testing.TB, pause time.Duration) {
		over := make(chan struct{})
		rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) { p.ReadHead(); <-over }), lasting(pause/4))
		defer close(over)
		client := rig.Dial()
		trace, field := proxytest.NewTrace()
		client.Send("POST / HTTP/1.1\r\nHost: a\r\n", field, fmt.Sprintf("Content-Length: %d\r\n\r\n", 64<<20))
		go func() {
			client.SetWriteDeadline(proxytest.Deadline())
			io.Copy(client.TCPConn, proxytest.NewSource(64<<20))
		}()
		if resp, _ := client.ReadResponse("POST"); resp.StatusCode != 504 || !resp.Close {
			t.Errorf("status %d, close %v; want 504, true", resp.StatusCode, resp.Close)
		}
		if h := rig.Hop(trace); h.Flags.String() != "SI" {
			t.Errorf("flags %q, want SI", h.Flags)
		}
	})
	unhurried("the request moves", func(t testing.TB, pause time.Duration) {
		rig := proxytest.Start(t, proxytest.Serve(t, proxytest.Echo), lasting(pause))
		client := rig.Dial()
		client.Send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", pieces))
		dribble(client, pause)
		if body := client.ReadOK(); body != "/ "+strings.Repeat("x", pieces) {
			t.Errorf("body %q", body)
		}
	})
	unhurried("the response moves", func(t testing.TB, pause time.Duration) {
		rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
			p.ReadHead()
			p.Send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", pieces))
			dribble(p, pause)
		}), lasting(pause))
		client := rig.Dial()
		// Its content does not: it waits for the response.
		client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nh")
		if body := client.ReadOK(); body != strings.Repeat("x", pieces) {
			t.Errorf("body %q", body)
		}
	})
	unhurried("the connection goes on", func(t testing.TB, pause time.Duration) {
		// A write that had to wait leaves nothing behind that ends a later one.
		rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
			for {
				if _, err := p.TryReadHead(); err != nil {
					return
				}
				p.SetWriteDeadline(proxytest.Deadline())
				p.Send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 16<<20))
				io.Copy(p.TCPConn, proxytest.NewSource(16<<20))
			}
		}), lasting(pause))
		client := rig.Dial()
		for range 2 {
			client.Send(proxytest.RootRequest)
			time.Sleep(pause) // the buffers fill
			if body := client.ReadOK(); len(body) != 16<<20 {
				t.Errorf("%d bytes", len(body))
			}
			time.Sleep(2 * patient(pause)) // what was left behind would end the connection
		}
	})
}

// TestHTTP1TunnelIdle: a tunnel ends when no byte moves in either direction.
func TestHTTP1TunnelIdle(t *testing.T) {
	proxytest.NoLeaks(t)
	idle := func(s *proxytest.Settings) { s.Egress.StreamIdleTimeout = proxytest.Short }
	t.Run("nothing moves", func(t *testing.T) {
		destination := mute(t)
		rig := proxytest.Start(t, destination, idle)
		client := proxytest.Dial(t, rig.Egress())
		trace, field := proxytest.NewTrace()
		client.Send("CONNECT ", destination, " HTTP/1.1\r\nHost: x\r\n", field, "\r\n")
		client.ReadHead()
		if rest, _ := client.ReadRest(); rest != "" {
			t.Errorf("received %q", rest)
		}
		if h := rig.Hop(trace); h.Flags.String() != "SI" || h.Status != 200 {
			t.Errorf("flags %q, status %d; want SI, 200", h.Flags, h.Status)
		}
	})
	t.Run("one direction moves", func(t *testing.T) {
		proxytest.Unhurried(t, pause, func(t testing.TB, pause time.Duration) {
			destination := proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) { dribble(p, pause) })
			rig := proxytest.Start(t, destination, func(s *proxytest.Settings) { s.Egress.StreamIdleTimeout = patient(pause) })
			client := proxytest.Dial(t, rig.Egress())
			client.Send("CONNECT ", destination, " HTTP/1.1\r\nHost: x\r\n\r\n")
			client.ReadHead()
			client.Expect(strings.Repeat("x", pieces))
			client.CloseWrite()
			client.ExpectEnd()
		})
	})
	t.Run("the endpoint does not read", func(t *testing.T) {
		over := make(chan struct{})
		destination := proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) { <-over })
		rig := proxytest.Start(t, destination, idle)
		defer close(over)
		client := proxytest.Dial(t, rig.Egress())
		trace, field := proxytest.NewTrace()
		client.Send("CONNECT ", destination, " HTTP/1.1\r\nHost: x\r\n", field, "\r\n")
		client.ReadHead()
		client.SetWriteDeadline(proxytest.Deadline())
		io.Copy(client.TCPConn, proxytest.NewSource(64<<20)) // until it is cut
		if h := rig.Hop(trace); h.Flags.String() != "SI" {
			t.Errorf("flags %q, want SI", h.Flags)
		}
	})
}

// TestHTTP1ConnectTimeout: an endpoint whose queue of connections is full does
// not answer.
func TestHTTP1ConnectTimeout(t *testing.T) {
	proxytest.NoLeaks(t)
	address := proxytest.DeafAddress(t)
	rig := proxytest.Start(t, address, func(s *proxytest.Settings) { s.Cluster.ConnectTimeout = proxytest.Short })
	client := rig.Dial()
	trace, field := proxytest.NewTrace()
	client.Send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
	resp, body := client.ReadResponse("GET")
	if resp.StatusCode != 503 || !strings.Contains(body, "did not accept a connection within 100ms") {
		t.Errorf("status %d, %q", resp.StatusCode, body)
	}
	h := rig.Hop(trace)
	if h.Flags.String() != "UF" || h.ProxyError != "connection_timeout" || h.End < proxytest.Short {
		t.Errorf("flags %q, error %q, after %v", h.Flags, h.ProxyError, h.End)
	}
}

// TestHTTP1ListenerMaxConnections: further connections wait while as many as there may
// be are busy, and are served when one ends.
func TestHTTP1ListenerMaxConnections(t *testing.T) {
	proxytest.NoLeaks(t)
	arrived, release := make(chan struct{}, 4), make(chan struct{})
	endpoint := proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Host == "a" {
			arrived <- struct{}{}
			<-release
		}
	})
	rig := proxytest.Start(t, endpoint, func(s *proxytest.Settings) { s.Listener.MaxConnections = 2 })
	var clients []*proxytest.Peer
	for range 4 {
		c := rig.Dial()
		c.Send(proxytest.RootRequest)
		clients = append(clients, c)
	}
	<-arrived
	<-arrived
	// The other listener serves meanwhile: the proxy had time to take the others, too.
	for range 20 {
		proxytest.Same(t, "status elsewhere", proxytest.Ask(t, rig.Egress(), "GET http://"+endpoint+"/ HTTP/1.1\r\nHost: "+endpoint+"\r\n\r\n").StatusCode, 200)
	}
	if n := len(arrived); n > 0 {
		t.Errorf("%d connections beyond the limit were served", n)
	}
	close(release)
	for _, c := range clients {
		c.ReadOK()
		c.Close()
	}
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
