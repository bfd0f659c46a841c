package views_test

import (
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestWhoDoesNotRead: a Hop says how long the proxy waited for its client to take the
// response, and each attempt how long for the endpoint to take the request. What is taken
// at once costs no time.
func TestWhoDoesNotRead(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("HTTP/1 can't tell it here")
	}
	const plenty = 64 << 20 // no socket takes as much
	large := func(t testing.TB) string {
		return proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			piece := []byte(proxytest.Pattern(1 << 20))
			for n := 0; n < plenty; n += len(piece) {
				if _, err := w.Write(piece); err != nil {
					return
				}
			}
		})
	}
	impatient := func(s *proxytest.Settings) { s.Listener.StreamIdleTimeout = proxytest.Soon }
	for _, tt := range []struct {
		name         string
		endpoint     func(testing.TB) string
		change       func(*proxytest.Settings)
		ask          func(p *proxytest.Proxy, trace string) (end func())
		client, slow bool // it waited for
	}{
		{name: "the client, over HTTP/1", endpoint: large, change: impatient, client: true, ask: func(p *proxytest.Proxy, trace string) func() {
			c := p.Dial()
			c.Send("GET /row HTTP/1.1\r\nHost: web.test\r\n" + trace + "\r\n")
			return func() { c.Close() }
		}},
		{name: "the client, over HTTP/2", endpoint: large, change: impatient, client: true, ask: func(p *proxytest.Proxy, trace string) func() {
			c := proxytest.DialHTTP2(p.T, p.Ingress())
			c.Ask(true, "GET", "/row", strings.TrimSpace(trace)) // and it opens no window
			return c.Close
		}},
		{name: "the endpoint", slow: true, endpoint: func(t testing.TB) string {
			return proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
				p.TryReadHead()
				<-t.Context().Done()
			})
		}, change: func(s *proxytest.Settings) { s.Listener.StreamIdleTimeout = proxytest.Soon }, ask: func(p *proxytest.Proxy, trace string) func() {
			c := p.Dial()
			go func() {
				c.Send("POST /row HTTP/1.1\r\nHost: web.test\r\nContent-Length: 67108864\r\n" + trace + "\r\n")
				piece := []byte(proxytest.Pattern(1 << 20))
				for range plenty >> 20 {
					if _, err := c.Write(piece); err != nil {
						return
					}
				}
			}()
			return func() { c.Close() }
		}},
		{name: "nobody", endpoint: proxytest.Always(proxytest.OKResponse), change: func(*proxytest.Settings) {}, ask: func(p *proxytest.Proxy, trace string) func() {
			c := p.Dial()
			c.Send("GET /row HTTP/1.1\r\nHost: web.test\r\n" + trace + "\r\n")
			c.ReadOK()
			return func() { c.Close() }
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := proxytest.StartWithViews(t, tt.endpoint(t), tt.change)
			trace, field := proxytest.NewTrace()
			defer tt.ask(p, field)()
			h := p.Hop(trace)
			got := [2]time.Duration{h.WriteBlocked, h.Attempts[0].WriteBlocked}
			if got[0] > 0 != tt.client || got[1] > 0 != tt.slow {
				t.Errorf("it waited %v for the client, %v for the endpoint; it ended with %s: %s", got[0], got[1], h.Flags, h.Failure.Reason)
			}
			for _, waited := range got {
				if waited > h.End {
					t.Errorf("it waited %v of %v", waited, h.End)
				}
			}
		})
	}
}
