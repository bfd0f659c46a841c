package snapshot_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// TestHTTP1WebSocket has a real WebSocket client talk to a real server.
func TestHTTP1WebSocket(t *testing.T) {
	noLeaks(t)
	rig := startProxy(t, goServer(t, func(w http.ResponseWriter, r *http.Request) {
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
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	trace, field := newTrace()
	_, tp, _ := strings.Cut(strings.TrimSpace(field), ": ")
	c, resp, err := websocket.Dial(ctx, "ws://"+rig.ingress()+"/chat", &websocket.DialOptions{
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
		want := pattern(size)
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
	h := rig.hop(trace)
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
	noLeaks(t)
	rig := startProxy(t, answering(t, func(_ string, fields []string) string {
		if value(fields, "Upgrade") != "chat" || value(fields, "Connection") != "upgrade" {
			t.Errorf("the endpoint got %q", fields)
		}
		return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"
	}))
	client := rig.dial()
	for range 2 {
		client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: chat\r\n\r\n")
		if body := client.ok(); body != "no" {
			t.Errorf("body %q", body)
		}
	}
}

// TestHTTP1Connect opens tunnels through a forward proxy.
func TestHTTP1Connect(t *testing.T) {
	noLeaks(t)
	tests := []struct {
		name     string
		endpoint func(p *peer)
		client   func(p *peer)
		in, out  int64
		flags    string
	}{
		{
			"echo",
			func(p *peer) { io.Copy(p.TCPConn, p.r) },
			func(p *peer) {
				for i := range 20 {
					p.send(fmt.Sprintf("turn %02d", i))
					p.expect(fmt.Sprintf("turn %02d", i))
				}
				p.CloseWrite()
				p.closed()
			},
			7 * 20, 7 * 20, "",
		},
		{
			"the client ends its half, and still gets the answer",
			func(p *peer) {
				request, err := p.rest()
				if request != "question" || err != nil {
					t.Errorf("received %q, %v", request, err)
				}
				p.send(pattern(1 << 20))
			},
			func(p *peer) {
				p.send("question")
				p.CloseWrite()
				if answer, err := p.rest(); len(answer) != 1<<20 || err != nil {
					t.Errorf("received %d bytes, %v", len(answer), err)
				}
			},
			8, 1 << 20, "",
		},
		{
			"the endpoint ends its half, and still gets the rest",
			func(p *peer) {
				p.send("greeting")
				p.CloseWrite()
				if rest, err := p.rest(); len(rest) != 1<<20 || err != nil {
					t.Errorf("received %d bytes, %v", len(rest), err)
				}
			},
			func(p *peer) {
				p.expect("greeting")
				p.closed()
				p.send(pattern(1 << 20))
				p.CloseWrite()
			},
			1 << 20, 8, "",
		},
		{"nothing moves", func(p *peer) { p.closed() }, func(p *peer) { p.CloseWrite(); p.closed() }, 0, 0, ""},
		{
			"the endpoint resets",
			func(p *peer) { p.expect("x"); p.reset() },
			func(p *peer) {
				p.send("x")
				if rest, err := p.rest(); rest != "" {
					t.Errorf("received %q, %v", rest, err)
				}
			},
			1, 0, "UR",
		},
		{
			"the client resets",
			func(p *peer) { p.rest() },
			func(p *peer) { p.send("x"); p.taken(); p.reset() },
			1, 0, "DR",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			done := make(chan struct{})
			destination := endpoint(t, func(_ int, p *peer) {
				defer close(done)
				tt.endpoint(p)
			})
			rig := startProxy(t, destination)
			client := dialPeer(t, rig.egress())
			trace, field := newTrace()
			client.send("CONNECT ", destination, " HTTP/1.1\r\nHost: ", destination, "\r\n", field, "\r\n")
			first, fields := client.head()
			if first != "HTTP/1.1 200 Connection established" || value(fields, "Content-Length")+value(fields, "Transfer-Encoding") != "" {
				t.Fatalf("received %q %q", first, fields)
			}
			tt.client(client)
			<-done
			h := rig.hop(trace)
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
	noLeaks(t)
	destination := endpoint(t, func(_ int, p *peer) {
		p.expect("ahead")
		p.send("answer")
		p.closed()
	})
	rig := startProxy(t, endpoint(t, func(_ int, p *peer) {
		p.head()
		p.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nahead")
		p.expect("answer")
	}))
	client := dialPeer(t, rig.egress())
	client.send("CONNECT ", destination, " HTTP/1.1\r\nHost: x\r\n\r\nahead")
	client.head()
	client.expect("answer")
	client.CloseWrite()
	client.closed()

	client = rig.dial()
	client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n")
	client.head()
	client.expect("ahead")
	client.send("answer")
	client.closed()
}

// TestHTTP1TunnelBackPressure: a reader that does not read stops the sender.
func TestHTTP1TunnelBackPressure(t *testing.T) {
	noLeaks(t)
	const size = 64 << 20
	read := make(chan struct{})
	destination := endpoint(t, func(_ int, p *peer) {
		<-read
		if n, err := io.Copy(io.Discard, p.r); n != size {
			t.Errorf("the endpoint received %d bytes, %v", n, err)
		}
	})
	rig := startProxy(t, destination)
	client := dialPeer(t, rig.egress())
	trace, field := newTrace()
	client.send("CONNECT ", destination, " HTTP/1.1\r\nHost: x\r\n", field, "\r\n")
	client.head()
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
	client.SetWriteDeadline(timeLimit())
	io.CopyN(client, newSource(size), int64(size-sent))
	client.CloseWrite()
	client.closed()
	if h := rig.hop(trace); h.BytesIn != size || h.Flags != 0 {
		t.Errorf("%d bytes in, flags %q", h.BytesIn, h.Flags)
	}
}
