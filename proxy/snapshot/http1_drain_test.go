package snapshot_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// closing begins to close a proxy, and returns how to wait for the end.
func (r *rig) closing(limit time.Duration) (wait func() time.Duration) {
	start, done := time.Now(), make(chan struct{})
	go func() {
		defer close(done)
		r.close(limit)
	}()
	return func() time.Duration {
		r.t.Helper()
		select {
		case <-done:
		case <-time.After(patience):
			r.t.Fatal("the proxy does not end")
		}
		return time.Since(start)
	}
}

// TestHTTP1Drain: nothing new is accepted, what is idle ends at once, and what
// is in flight ends in good order.
func TestHTTP1Drain(t *testing.T) {
	noLeaks(t)
	answer, rest := make(chan struct{}), make(chan struct{})
	arrived := make(chan struct{}, 10)
	rig := startProxy(t, endpoint(t, func(_ int, p *peer) {
		for {
			lines, err := p.tryHead()
			if err != nil {
				return
			}
			arrived <- struct{}{}
			switch {
			case strings.HasPrefix(lines[0], "GET /waits"):
				<-answer
				p.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
			case strings.HasPrefix(lines[0], "GET /streams"):
				p.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
				<-rest
				p.send("llo")
			case strings.HasPrefix(lines[0], "POST"):
				p.expect("hello")
				p.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			default:
				p.send(empty)
			}
		}
	}))
	address := rig.ingress()
	fresh, idle, waits, streams, uploads, heads := rig.dial(), rig.dial(), rig.dial(), rig.dial(), rig.dial(), rig.dial()
	idle.send(getRoot)
	idle.ok()
	waits.send("GET /waits HTTP/1.1\r\nHost: a\r\n\r\nGET /never HTTP/1.1\r\nHost: a\r\n\r\n")
	streams.send("GET /streams HTTP/1.1\r\nHost: a\r\n\r\n")
	streams.head()
	streams.expect("he")
	uploads.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
	heads.send("GET / HTTP/1.1\r\nHo")
	for range 4 {
		<-arrived
	}
	heads.taken()

	wait := rig.closing(patience)
	fresh.closed()
	idle.closed()
	eventually(t, "connections being refused", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	for name, end := range map[string]func() (client *peer){
		"waits":   func() *peer { close(answer); return waits },
		"uploads": func() *peer { uploads.send("llo"); return uploads },
		"heads":   func() *peer { heads.send("st: a\r\n\r\n"); return heads },
	} {
		client := end()
		if resp, body := client.response("GET"); resp.StatusCode != 200 || !resp.Close {
			t.Errorf("%s: status %d, close %v, %q", name, resp.StatusCode, resp.Close, body)
		}
		client.closed()
		client.Close()
	}
	close(rest) // its head went out before; so it ends without a word
	streams.expect("llo")
	streams.closed()
	streams.Close()
	wait()
	for _, s := range rig.traces() {
		if s.Flags != 0 || s.Status != 200 {
			t.Errorf("flags %q, status %d: %s", s.Flags, s.Status, s.Reason)
		}
	}
}

// TestHTTP1DrainLimit cuts what does not end by itself.
func TestHTTP1DrainLimit(t *testing.T) {
	noLeaks(t)
	tests := []struct {
		name     string
		begin    func(t *testing.T, rig *rig, destination string) *peer
		endpoint func(p *peer, over chan struct{})
	}{
		{
			"a request that is not answered",
			func(t *testing.T, rig *rig, _ string) *peer {
				c := rig.dial()
				c.send(getRoot)
				return c
			},
			func(p *peer, over chan struct{}) { p.head(); over <- struct{}{}; <-over },
		},
		{
			"a response that does not end",
			func(t *testing.T, rig *rig, _ string) *peer {
				c := rig.dial()
				c.send(getRoot)
				c.head()
				return c
			},
			func(p *peer, over chan struct{}) {
				p.head()
				p.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
				over <- struct{}{}
				<-over
			},
		},
		{
			"a response that nobody reads",
			func(t *testing.T, rig *rig, _ string) *peer {
				c := rig.dial()
				c.send(getRoot)
				return c
			},
			func(p *peer, over chan struct{}) {
				p.head()
				p.send("HTTP/1.1 200 OK\r\n\r\n")
				over <- struct{}{}
				io.Copy(p.TCPConn, newSource(64<<20))
				<-over
			},
		},
		{
			"content that does not come",
			func(t *testing.T, rig *rig, _ string) *peer {
				c := rig.dial()
				c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
				return c
			},
			func(p *peer, over chan struct{}) { p.head(); over <- struct{}{}; <-over },
		},
		{
			"content that nobody reads",
			func(t *testing.T, rig *rig, _ string) *peer {
				c := rig.dial()
				c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
				go func() {
					c.SetWriteDeadline(timeLimit())
					for err := error(nil); err == nil; {
						_, err = fmt.Fprintf(c, "10000\r\n%065536d\r\n", 0)
					}
				}()
				return c
			},
			func(p *peer, over chan struct{}) { p.head(); over <- struct{}{}; <-over },
		},
		{
			"a tunnel",
			func(t *testing.T, rig *rig, destination string) *peer {
				c := dialPeer(t, rig.egress())
				c.send("CONNECT ", destination, " HTTP/1.1\r\nHost: x\r\n\r\n")
				c.head()
				return c
			},
			func(p *peer, over chan struct{}) { over <- struct{}{}; <-over },
		},
		{
			"a tunnel whose endpoint does not read",
			func(t *testing.T, rig *rig, destination string) *peer {
				c := dialPeer(t, rig.egress())
				c.send("CONNECT ", destination, " HTTP/1.1\r\nHost: x\r\n\r\n")
				c.head()
				go func() {
					c.SetWriteDeadline(timeLimit())
					io.Copy(c.TCPConn, newSource(64<<20))
				}()
				return c
			},
			func(p *peer, over chan struct{}) { over <- struct{}{}; <-over },
		},
		{
			"an upgraded connection",
			func(t *testing.T, rig *rig, _ string) *peer {
				c := rig.dial()
				c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n")
				c.head()
				return c
			},
			func(p *peer, over chan struct{}) {
				p.head()
				p.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n")
				over <- struct{}{}
				<-over
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			over := make(chan struct{})
			destination := endpoint(t, func(_ int, p *peer) { tt.endpoint(p, over) })
			rig := startProxy(t, destination)
			defer close(over)
			client := tt.begin(t, rig, destination)
			<-over
			const limit = 50 * time.Millisecond
			if took := rig.closing(limit)(); took < limit || took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			client.rest() // which has an end
			if n := len(rig.traces()); n != 1 {
				t.Errorf("%d hops, want 1", n)
			}
		})
	}
}

// TestHTTP1DrainCutsConnecting: nor are connections waited for that are being
// made, or waited for, at the limit.
func TestHTTP1DrainCutsConnecting(t *testing.T) {
	noLeaks(t)
	address := fullQueue(t)
	rig := startProxy(t, address, func(s *settings) {
		s.Cluster.CircuitBreaker.MaxConnections, s.Cluster.ConnectTimeout, s.Route.Timeout = 1, long, long
	})
	clients := []*peer{rig.dial(), rig.dial()}
	for _, c := range clients {
		c.send(getRoot)
		c.taken()
	}
	if took := rig.closing(short)(); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}
