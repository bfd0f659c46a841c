package policies_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// idleTimeout gives the route an idle timeout.
func idleTimeout(d time.Duration) func(*proxytest.Settings) {
	return func(s *proxytest.Settings) { s.Route.IdleTimeout = d }
}

// TestIdleTimeoutOfARoute: a route ends requests in which no byte moves for its own time, be
// it the endpoint or the client that is silent, in every protocol.
func TestIdleTimeoutOfARoute(t *testing.T) {
	const idle = 60 * time.Millisecond
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		p := proxytest.StartScript(t, up, 1, proxytest.Hang)
		x := p.Start(down, up, idleTimeout(idle))
		for _, fields := range [][]string{nil, call} {
			o := x.Ask("POST", nil, fields...)
			proxytest.Same(t, "flags", o.Hop.Flags.String(), "SI")
			proxytest.Same(t, "details", o.Hop.Details, "stream_idle_timeout{response}")
			proxytest.Reason(t, "reason", o.Hop.Failure.Reason, "60ms")
		}
	})
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		p := &proxytest.Script{T: t, Addresses: []string{serve(t, up, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })}}
		x := p.Start(down, up, idleTimeout(idle))
		in, out := io.Pipe()
		r, trace := x.NewRequest(context.Background(), "POST", in)
		go out.Write([]byte("hello")) // and no more
		if response, err := x.HTTP.Do(r); err == nil {
			proxytest.Finish(response)
			proxytest.Same(t, "status", response.StatusCode, 408)
		}
		out.Close()
		h := x.Hop(trace)
		proxytest.Same(t, "details", h.Details, "stream_idle_timeout{request}")
		proxytest.Reason(t, "reason", h.Failure.Reason, "60ms")
	})
}

// TestIdleTimeoutOfAReader: it ends a response that the client does not read.
func TestIdleTimeoutOfAReader(t *testing.T) {
	proxytest.NoLeaks(t)
	content := make([]byte, 1<<20)
	endpoint := proxytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 32 {
			if _, err := w.Write(content); err != nil {
				return
			}
		}
	})
	x := proxytest.Start(t, endpoint, idleTimeout(60*time.Millisecond))
	plain, h2 := x.Dial(), proxytest.DialHTTP2(t, x.Ingress())
	for _, ask := range []func(field string){
		func(field string) { plain.Send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n") },
		func(field string) { h2.Ask(true, "GET", "/", field[:len(field)-2]) },
	} {
		trace, field := proxytest.NewTrace()
		ask(field)
		if h := x.Hop(trace); h.Status != 200 || h.BytesOut == int64(32*len(content)) || h.Flags == 0 {
			t.Errorf("status %d, %d bytes, flags %s", h.Status, h.BytesOut, h.Flags)
		}
	}
	plain.Close()
	h2.Close()
}

// TestLongIdleTimeoutOfARoute: a route may be more patient than its listener, and its tunnels
// have its patience, too.
func TestLongIdleTimeoutOfARoute(t *testing.T) {
	const short = 60 * time.Millisecond
	patient := func(s *proxytest.Settings) {
		s.Listener.StreamIdleTimeout, s.Route.IdleTimeout = short, proxytest.Patience
	}
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		p := proxytest.StartScript(t, up, 1, func(http.ResponseWriter, *http.Request) { time.Sleep(4 * short) })
		x := p.Start(down, up, patient)
		x.Ask("GET", nil).Want(t, 200, "", "200")
	})
	for name, change := range map[string]func(*proxytest.Settings){"patient": patient, "impatient": idleTimeout(short)} {
		t.Run("tunnel, "+name, func(t *testing.T) {
			proxytest.NoLeaks(t)
			x := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
				p.ReadHead()
				p.Send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: tcp\r\n\r\n")
				if name == "patient" {
					time.Sleep(4 * short)
					p.Send("pong")
				}
				p.ReadRest()
			}), change)
			client := x.Dial()
			trace, field := proxytest.NewTrace()
			client.Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: tcp\r\n", field, "\r\n")
			client.ReadHead()
			if name == "patient" {
				client.Expect("pong")
				client.Close()
				return
			}
			client.ExpectEnd()
			proxytest.Same(t, "flags", x.Hop(trace).Flags.String(), "SI")
		})
	}
}
