package http1_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// TestHTTP1WebSocket has a real WebSocket client talk to a real server.
func TestHTTP1WebSocket(t *testing.T) {
	proxytest.NoLeaks(t)
	rig := proxytest.Start(t, proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"chat"}})
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(4 << 20)
		for {
			kind, data, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if err := c.Write(r.Context(), kind, data); err != nil {
				t.Errorf("write: %v", err)
			}
		}
	}))
	ctx, cancel := context.WithTimeout(context.Background(), proxytest.Patience)
	defer cancel()
	trace, field := proxytest.NewTrace()
	_, tp, _ := strings.Cut(strings.TrimSpace(field), ": ")
	c, resp, err := websocket.Dial(ctx, "ws://"+rig.Ingress()+"/chat", &websocket.DialOptions{
		HTTPHeader: http.Header{"Traceparent": {tp}}, Subprotocols: []string{"chat"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if resp.StatusCode != 101 || c.Subprotocol() != "chat" {
		t.Errorf("status %d, subprotocol %q", resp.StatusCode, c.Subprotocol())
	}
	c.SetReadLimit(4 << 20)
	total := 0
	for _, size := range []int{0, 1, 125, 126, 70_000, 1 << 20} {
		want := proxytest.Pattern(size)
		if err := c.Write(ctx, websocket.MessageBinary, []byte(want)); err != nil {
			t.Fatal(err)
		}
		_, got, err := c.Read(ctx)
		if err != nil || string(got) != want {
			t.Fatalf("%d bytes came back as %d, %v", size, len(got), err)
		}
		total += size
	}
	if err := c.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Errorf("close: %v", err)
	}
	h := rig.Hop(trace)
	if h.Kind != hop.KindTunnel || h.Status != 101 || h.Flags != 0 {
		t.Errorf("kind %d, status %d, flags %q", h.Kind, h.Status, h.Flags)
	}
	// The frames' heads come on top, and a client masks.
	if h.BytesIn <= h.BytesOut || h.BytesOut <= int64(total) || h.BytesIn > int64(total)+200 {
		t.Errorf("%d bytes in, %d out; %d were sent each way", h.BytesIn, h.BytesOut, total)
	}
	if a := h.Attempts[0]; a.BytesSent != h.BytesIn || a.BytesReceived != h.BytesOut || a.Status != 101 {
		t.Errorf("the attempt: %d bytes sent, %d received, status %d", a.BytesSent, a.BytesReceived, a.Status)
	}
}

// TestHTTP1UpgradeRefused: an endpoint may answer as if it had not been asked.
func TestHTTP1UpgradeRefused(t *testing.T) {
	proxytest.NoLeaks(t)
	rig := proxytest.Start(t, proxytest.Answering(t, func(_ string, fields []string) string {
		if proxytest.Field(fields, "Upgrade") != "chat" || proxytest.Field(fields, "Connection") != "upgrade" {
			t.Errorf("the endpoint got %q", fields)
		}
		return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"
	}))
	client := rig.Dial()
	for range 2 {
		client.Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: chat\r\n\r\n")
		if body := client.ReadOK(); body != "no" {
			t.Errorf("body %q", body)
		}
	}
}

// TestHTTP1Connect opens tunnels through a forward proxy.
func TestHTTP1Connect(t *testing.T) {
	proxytest.NoLeaks(t)
	tests := []struct {
		name     string
		endpoint func(p *proxytest.Peer)
		client   func(p *proxytest.Peer)
		in, out  int64
		flags    string
	}{
		{
			"echo",
			func(p *proxytest.Peer) { io.Copy(p.TCPConn, p.Reader) },
			func(p *proxytest.Peer) {
				for i := range 20 {
					p.Send(fmt.Sprintf("turn %02d", i))
					p.Expect(fmt.Sprintf("turn %02d", i))
				}
				p.CloseWrite()
				p.ExpectEnd()
			},
			7 * 20, 7 * 20, "",
		},
		{
			"the client ends its half, and still gets the answer",
			func(p *proxytest.Peer) {
				request, err := p.ReadRest()
				if request != "question" || err != nil {
					t.Errorf("received %q, %v", request, err)
				}
				p.Send(proxytest.Pattern(1 << 20))
			},
			func(p *proxytest.Peer) {
				p.Send("question")
				p.CloseWrite()
				if answer, err := p.ReadRest(); len(answer) != 1<<20 || err != nil {
					t.Errorf("received %d bytes, %v", len(answer), err)
				}
			},
			8, 1 << 20, "",
		},
		{
			"the endpoint ends its half, and still gets the rest",
			func(p *proxytest.Peer) {
				p.Send("greeting")
				p.CloseWrite()
				if rest, err := p.ReadRest(); len(rest) != 1<<20 || err != nil {
					t.Errorf("received %d bytes, %v", len(rest), err)
				}
			},
			func(p *proxytest.Peer) {
				p.Expect("greeting")
				p.ExpectEnd()
				p.Send(proxytest.Pattern(1 << 20))
				p.CloseWrite()
			},
			1 << 20, 8, "",
		},
		{"nothing moves", func(p *proxytest.Peer) { p.ExpectEnd() }, func(p *proxytest.Peer) { p.CloseWrite(); p.ExpectEnd() }, 0, 0, ""},
		{
			"the endpoint resets",
			func(p *proxytest.Peer) { p.Expect("x"); p.Reset() },
			func(p *proxytest.Peer) {
				p.Send("x")
				if rest, err := p.ReadRest(); rest != "" {
					t.Errorf("received %q, %v", rest, err)
				}
			},
			1, 0, "UR",
		},
		{
			"the client resets",
			func(p *proxytest.Peer) { p.ReadRest() },
			func(p *proxytest.Peer) { p.Send("x"); p.AwaitRead(); p.Reset() },
			1, 0, "DR",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			done := make(chan struct{})
			destination := proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
				defer close(done)
				tt.endpoint(p)
			})
			rig := proxytest.Start(t, destination)
			client := proxytest.Dial(t, rig.Egress())
			trace, field := proxytest.NewTrace()
			client.Send("CONNECT ", destination, " HTTP/1.1\r\nHost: ", destination, "\r\n", field, "\r\n")
			first, fields := client.ReadHead()
			if first != "HTTP/1.1 200 Connection established" || proxytest.Field(fields, "Content-Length")+proxytest.Field(fields, "Transfer-Encoding") != "" {
				t.Fatalf("received %q %q", first, fields)
			}
			tt.client(client)
			<-done
			h := rig.Hop(trace)
			if h.BytesIn != tt.in || h.BytesOut != tt.out || h.Flags.String() != tt.flags {
				t.Errorf("%d bytes in, %d out, flags %q; want %d, %d, %q", h.BytesIn, h.BytesOut, h.Flags, tt.in, tt.out, tt.flags)
			}
			if h.Kind != hop.KindTunnel || h.Method != "CONNECT" || h.Status != 200 || len(h.Attempts) != 1 || h.Attempts[0].Endpoint != destination {
				t.Errorf("kind %d, method %s, status %d, attempts %+v", h.Kind, h.Method, h.Status, h.Attempts)
			}
		})
	}
}

// TestHTTP1TunnelAheadOfTheAnswer: what a client sends behind its CONNECT, not
// waiting for the answer, is the tunnel's; so is what comes with a 101.
func TestHTTP1TunnelAheadOfTheAnswer(t *testing.T) {
	proxytest.NoLeaks(t)
	destination := proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
		p.Expect("ahead")
		p.Send("answer")
		p.ExpectEnd()
	})
	rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
		p.ReadHead()
		p.Send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nahead")
		p.Expect("answer")
	}))
	client := proxytest.Dial(t, rig.Egress())
	client.Send("CONNECT ", destination, " HTTP/1.1\r\nHost: x\r\n\r\nahead")
	client.ReadHead()
	client.Expect("answer")
	client.CloseWrite()
	client.ExpectEnd()

	client = rig.Dial()
	client.Send("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n")
	client.ReadHead()
	client.Expect("ahead")
	client.Send("answer")
	client.ExpectEnd()
}

// TestHTTP1TunnelBackPressure: a reader that does not read stops the sender.
func TestHTTP1TunnelBackPressure(t *testing.T) {
	proxytest.NoLeaks(t)
	const size = 64 << 20
	read := make(chan struct{})
	destination := proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
		<-read
		if n, err := io.Copy(io.Discard, p.Reader); n != size {
			t.Errorf("the endpoint received %d bytes, %v", n, err)
		}
	})
	rig := proxytest.Start(t, destination)
	client := proxytest.Dial(t, rig.Egress())
	trace, field := proxytest.NewTrace()
	client.Send("CONNECT ", destination, " HTTP/1.1\r\nHost: x\r\n", field, "\r\n")
	client.ReadHead()
	piece, sent := make([]byte, 64<<10), 0
	for sent < size {
		client.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		n, err := client.Write(piece[:min(len(piece), size-sent)])
		if sent += n; err != nil {
			break
		}
	}
	if sent == size {
		t.Error("the sender was not stopped")
	}
	close(read)
	client.SetWriteDeadline(proxytest.Deadline())
	io.CopyN(client, proxytest.NewSource(size), int64(size-sent))
	client.CloseWrite()
	client.ExpectEnd()
	if h := rig.Hop(trace); h.BytesIn != size || h.Flags != 0 {
		t.Errorf("%d bytes in, flags %q", h.BytesIn, h.Flags)
	}
}
