package http1_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestHTTP1Drain: nothing new is accepted, what is idle ends at once, and what
// is in flight ends in good order.
func TestHTTP1Drain(t *testing.T) {
	proxytest.NoLeaks(t)
	answer, rest := make(chan struct{}), make(chan struct{})
	arrived := make(chan struct{}, 10)
	rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
		for {
			lines, err := p.TryReadHead()
			if err != nil {
				return
			}
			arrived <- struct{}{}
			switch {
			case strings.HasPrefix(lines[0], "GET /waits"):
				<-answer
				p.Send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
			case strings.HasPrefix(lines[0], "GET /streams"):
				p.Send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
				<-rest
				p.Send("llo")
			case strings.HasPrefix(lines[0], "POST"):
				p.Expect("hello")
				p.Send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			default:
				p.Send(proxytest.EmptyResponse)
			}
		}
	}))
	address := rig.Ingress()
	fresh, idle, waits, streams, uploads, heads := rig.Dial(), rig.Dial(), rig.Dial(), rig.Dial(), rig.Dial(), rig.Dial()
	idle.Send(proxytest.RootRequest)
	idle.ReadOK()
	waits.Send("GET /waits HTTP/1.1\r\nHost: a\r\n\r\nGET /never HTTP/1.1\r\nHost: a\r\n\r\n")
	streams.Send("GET /streams HTTP/1.1\r\nHost: a\r\n\r\n")
	streams.ReadHead()
	streams.Expect("he")
	uploads.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
	heads.Send("GET / HTTP/1.1\r\nHo")
	for range 4 {
		<-arrived
	}
	heads.AwaitRead()

	wait := rig.BeginClose(proxytest.Patience)
	fresh.ExpectEnd()
	idle.ExpectEnd()
	proxytest.Eventually(t, "connections being refused", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	for name, end := range map[string]func() (client *proxytest.Peer){
		"waits":   func() *proxytest.Peer { close(answer); return waits },
		"uploads": func() *proxytest.Peer { uploads.Send("llo"); return uploads },
		"heads":   func() *proxytest.Peer { heads.Send("st: a\r\n\r\n"); return heads },
	} {
		client := end()
		if resp, body := client.ReadResponse("GET"); resp.StatusCode != 200 || !resp.Close {
			t.Errorf("%s: status %d, close %v, %q", name, resp.StatusCode, resp.Close, body)
		}
		client.ExpectEnd()
		client.Close()
	}
	close(rest) // its head went out before; so it ends without a word
	streams.Expect("llo")
	streams.ExpectEnd()
	streams.Close()
	wait()
	for _, s := range rig.Traces() {
		if s.Flags != 0 || s.Status != 200 {
			t.Errorf("flags %q, status %d: %s", s.Flags, s.Status, s.Failure.Reason)
		}
	}
}

// TestHTTP1DrainLimit cuts what does not end by itself.
func TestHTTP1DrainLimit(t *testing.T) {
	proxytest.NoLeaks(t)
	tests := []struct {
		name     string
		begin    func(t *testing.T, rig *proxytest.Proxy, destination string) *proxytest.Peer
		endpoint func(p *proxytest.Peer, over chan struct{})
	}{
		{
			"a request that is not answered",
			func(t *testing.T, rig *proxytest.Proxy, _ string) *proxytest.Peer {
				c := rig.Dial()
				c.Send(proxytest.RootRequest)
				return c
			},
			func(p *proxytest.Peer, over chan struct{}) { p.ReadHead(); over <- struct{}{}; <-over },
		},
		{
			"a response that does not end",
			func(t *testing.T, rig *proxytest.Proxy, _ string) *proxytest.Peer {
				c := rig.Dial()
				c.Send(proxytest.RootRequest)
				c.ReadHead()
				return c
			},
			func(p *proxytest.Peer, over chan struct{}) {
				p.ReadHead()
				p.Send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
				over <- struct{}{}
				<-over
			},
		},
		{
			"a response that nobody reads",
			func(t *testing.T, rig *proxytest.Proxy, _ string) *proxytest.Peer {
				c := rig.Dial()
				c.Send(proxytest.RootRequest)
				return c
			},
			func(p *proxytest.Peer, over chan struct{}) {
				p.ReadHead()
				p.Send("HTTP/1.1 200 OK\r\n\r\n")
				over <- struct{}{}
				io.Copy(p.TCPConn, proxytest.NewSource(64<<20))
				<-over
			},
		},
		{
			"content that does not come",
			func(t *testing.T, rig *proxytest.Proxy, _ string) *proxytest.Peer {
				c := rig.Dial()
				c.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
				return c
			},
			func(p *proxytest.Peer, over chan struct{}) { p.ReadHead(); over <- struct{}{}; <-over },
		},
		{
			"content that nobody reads",
			func(t *testing.T, rig *proxytest.Proxy, _ string) *proxytest.Peer {
				c := rig.Dial()
				c.Send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
				go func() {
					c.SetWriteDeadline(proxytest.Deadline())
					for err := error(nil); err == nil; {
						_, err = fmt.Fprintf(c, "10000\r\n%065536d\r\n", 0)
					}
				}()
				return c
			},
			func(p *proxytest.Peer, over chan struct{}) { p.ReadHead(); over <- struct{}{}; <-over },
		},
		{
			"a tunnel",
			func(t *testing.T, rig *proxytest.Proxy, destination string) *proxytest.Peer {
				c := proxytest.Dial(t, rig.Egress())
				c.Send("CONNECT ", destination, " HTTP/1.1\r\nHost: x\r\n\r\n")
				c.ReadHead()
				return c
			},
			func(p *proxytest.Peer, over chan struct{}) { over <- struct{}{}; <-over },
		},
		{
			"a tunnel whose endpoint does not read",
			func(t *testing.T, rig *proxytest.Proxy, destination string) *proxytest.Peer {
				c := proxytest.Dial(t, rig.Egress())
				c.Send("CONNECT ", destination, " HTTP/1.1\r\nHost: x\r\n\r\n")
				c.ReadHead()
				go func() {
					c.SetWriteDeadline(proxytest.Deadline())
					io.Copy(c.TCPConn, proxytest.NewSource(64<<20))
				}()
				return c
			},
			func(p *proxytest.Peer, over chan struct{}) { over <- struct{}{}; <-over },
		},
		{
			"an upgraded connection",
			func(t *testing.T, rig *proxytest.Proxy, _ string) *proxytest.Peer {
				c := rig.Dial()
				c.Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n")
				c.ReadHead()
				return c
			},
			func(p *proxytest.Peer, over chan struct{}) {
				p.ReadHead()
				p.Send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n")
				over <- struct{}{}
				<-over
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			over := make(chan struct{})
			destination := proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) { tt.endpoint(p, over) })
			rig := proxytest.Start(t, destination)
			defer close(over)
			client := tt.begin(t, rig, destination)
			<-over
			const limit = 50 * time.Millisecond
			if took := rig.BeginClose(limit)(); took < limit || took > proxytest.Patience/2 {
				t.Errorf("it took %v", took)
			}
			client.ReadRest() // which has an end
			if n := len(rig.Traces()); n != 1 {
				t.Errorf("%d hops, want 1", n)
			}
		})
	}
}

// TestHTTP1DrainCutsConnecting: nor are connections waited for that are being
// made, or waited for, at the limit.
func TestHTTP1DrainCutsConnecting(t *testing.T) {
	proxytest.NoLeaks(t)
	address := proxytest.DeafAddress(t)
	rig := proxytest.Start(t, address, func(s *proxytest.Settings) {
		s.Cluster.CircuitBreaker.MaxConnections, s.Cluster.ConnectTimeout, s.Route.Timeout = 1, long, long
	})
	clients := []*proxytest.Peer{rig.Dial(), rig.Dial()}
	for _, c := range clients {
		c.Send(proxytest.RootRequest)
		c.AwaitRead()
	}
	if took := rig.BeginClose(proxytest.Short)(); took > proxytest.Patience/2 {
		t.Errorf("it took %v", took)
	}
}
