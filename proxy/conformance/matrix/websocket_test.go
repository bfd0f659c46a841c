//lint:file-ignore SA1019 net/http's own transport knows no extended CONNECT

package matrix_test

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// newSocketCross has an endpoint that takes WebSockets.
func newSocketCross(t *testing.T, down, up proxytest.Side) *cross {
	t.Helper()
	x := newCross(t, down, up, func(x *cross) string {
		if x.up.HTTP2 {
			return serveSockets(t, x)
		}
		return x.serve(t)
	})
	if !down.HTTP2 {
		x.alpn = "" // net/http leaves ALPN out for an upgrade
	}
	return x
}

// A WebSocket goes through every pair: what opens it differs between HTTP/1 and
// HTTP/2, and the proxy stands between the two.
func TestMatrixWebSocket(t *testing.T) {
	proxytest.EachPair(t, func(t *testing.T, down, up proxytest.Side) {
		x := newSocketCross(t, down, up)
		x.handle("/socket", func(w http.ResponseWriter, r *http.Request) { repeat(x, w, r) })
		ctx := proxytest.WithinPatience(t)
		c, response, err := websocket.Dial(ctx, strings.Replace(down.Scheme(), "http", "ws", 1)+"://"+webHost+"/socket", &websocket.DialOptions{
			HTTPClient: x.socketClient(), Subprotocols: []string{"other", "chat"},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		proxytest.Same(t, "subprotocol", c.Subprotocol(), "chat")
		x.expectStatus(response, outcome{path: "/socket"})
		c.SetReadLimit(4 << 20)
		total := int64(0)
		for _, size := range []int{0, 1, 125, 126, 70_000, 1 << 20} {
			want := proxytest.Pattern(size)
			if err := c.Write(ctx, websocket.MessageBinary, []byte(want)); err != nil {
				t.Fatal(err)
			}
			if _, got, err := c.Read(ctx); err != nil || string(got) != want {
				t.Fatalf("%d bytes came back as %d (%v)", size, len(got), err)
			}
			total += int64(size)
		}
		if err := c.Close(websocket.StatusNormalClosure, "bye"); err != nil {
			t.Errorf("closing: %v", err)
		}
		x.expect(outcome{path: "/socket", status: 101, answered: 101, in: uncounted, out: uncounted, tunnel: true})
		x.finish()
		if l := x.Lines()[0]; int64(l.Number("bytes_in")) <= total || int64(l.Number("bytes_out")) <= total {
			t.Errorf("%v bytes in, %v out; %d were sent each way, and frames' heads with them", l["bytes_in"], l["bytes_out"], total)
		}
	})
}

// An endpoint may answer the request for a WebSocket as if it were any other.
func TestMatrixWebSocketRefused(t *testing.T) {
	proxytest.EachPair(t, func(t *testing.T, down, up proxytest.Side) {
		x := newSocketCross(t, down, up)
		x.handle("/socket", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no sockets here", http.StatusForbidden) })
		_, response, err := websocket.Dial(proxytest.WithinPatience(t), strings.Replace(down.Scheme(), "http", "ws", 1)+"://"+webHost+"/socket",
			&websocket.DialOptions{HTTPClient: x.socketClient()})
		if err == nil || response == nil {
			t.Fatalf("got %v, %v", response, err)
		}
		proxytest.Same(t, "status", response.StatusCode, http.StatusForbidden)
		if text, _ := io.ReadAll(response.Body); string(text) != "no sockets here\n" {
			t.Errorf("the answer is %q", text)
		}
		x.fine("GET", "/socket", http.StatusForbidden, 0, 16)
		x.finish()
	})
}

// repeat sends each message back.
func repeat(x *cross, w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"chat"}})
	if err != nil {
		x.T.Errorf("accepting: %v", err)
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(4 << 20)
	for {
		kind, data, err := c.Read(context.Background())
		if err != nil {
			return
		}
		if err := c.Write(context.Background(), kind, data); err != nil {
			x.T.Errorf("writing: %v", err)
		}
	}
}

// socketClient opens WebSockets by what the client speaks.
func (x *cross) socketClient() *http.Client {
	if !x.down.HTTP2 {
		return x.client
	}
	transport := &http2.Transport{
		AllowHTTP: true, DisableCompression: true,
		DialTLSContext: func(ctx context.Context, network, _ string, _ *tls.Config) (net.Conn, error) {
			if x.down.TLS {
				d := tls.Dialer{Config: &tls.Config{RootCAs: x.ca.Pool(), ServerName: webHost, NextProtos: []string{"h2"}}}
				return d.DialContext(ctx, network, x.Ingress())
			}
			return new(net.Dialer).DialContext(ctx, network, x.Ingress())
		},
	}
	x.T.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: socketsOverHTTP2{transport}}
}

// socketsOverHTTP2 opens WebSockets by an extended CONNECT (RFC 8441 section 5)
// for a client that knows but the way of HTTP/1.
type socketsOverHTTP2 struct{ transport *http2.Transport }

func (s socketsOverHTTP2) RoundTrip(r *http.Request) (*http.Response, error) {
	body, pipe := io.Pipe()
	connect := r.Clone(r.Context())
	connect.Method, connect.Body, connect.ContentLength = "CONNECT", body, -1
	for _, name := range []string{"Connection", "Upgrade", "Sec-WebSocket-Key"} {
		connect.Header.Del(name)
	}
	connect.Header[":protocol"] = []string{"websocket"}
	response, err := s.transport.RoundTrip(connect)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != 200 {
		pipe.Close()
		return response, nil
	}
	if got := response.Header.Get("Sec-WebSocket-Accept"); got != "" {
		return nil, fmt.Errorf("the response has Sec-WebSocket-Accept %q", got)
	}
	response.StatusCode = http.StatusSwitchingProtocols
	response.Header.Set("Connection", "Upgrade")
	response.Header.Set("Upgrade", "websocket")
	response.Header.Set("Sec-WebSocket-Accept", acceptKey(r.Header.Get("Sec-WebSocket-Key")))
	response.Body = &socketStream{response.Body, pipe}
	return response, nil
}

// acceptKey answers a key (RFC 6455 section 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// socketStream is a stream as a connection: what comes is the response's content,
// what goes is the request's.
type socketStream struct {
	io.ReadCloser
	out *io.PipeWriter
}

func (s *socketStream) Write(b []byte) (int, error) { return s.out.Write(b) }

// Close ends what goes, and then awaits the end of what comes: a stream that is
// closed before is reset, as RFC 8441 section 5 has it for a TCP connection.
func (s *socketStream) Close() error {
	s.out.Close()
	io.Copy(io.Discard, s.ReadCloser)
	return s.ReadCloser.Close()
}

// An endpoint that knows nothing of WebSockets may answer with a success, as to
// any GET: over HTTP/2 that would say that the WebSocket is open.
func TestMatrixWebSocketIgnored(t *testing.T) {
	proxytest.EachPair(t, func(t *testing.T, down, up proxytest.Side) {
		if up.HTTP2 {
			t.Skip("a success is consent there")
		}
		x := newSocketCross(t, down, up)
		x.handle("/socket", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "just a page\n") })
		_, response, err := websocket.Dial(proxytest.WithinPatience(t), strings.Replace(down.Scheme(), "http", "ws", 1)+"://"+webHost+"/socket",
			&websocket.DialOptions{HTTPClient: x.socketClient()})
		if err == nil || response == nil {
			t.Fatalf("got %v, %v", response, err)
		}
		want := http.StatusOK
		if down.HTTP2 {
			want = http.StatusBadGateway
		}
		proxytest.Same(t, "status", response.StatusCode, want)
	})
}
