package http2_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	frame "golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/http2"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// client is a client's connection, and what became of it.
type client struct {
	*http2.Conn
	shared *netio.Shared
	ends   chan error
	change atomic.Int64 // calls of OnChange's func
}

// newClient makes a client of a connection.
func newClient(t testing.TB, nc net.Conn, change func(*http2.Options)) *client {
	t.Helper()
	o := http2.Options{Shared: netio.NewShared(), Name: "web:1", StreamIdle: patience}
	if change != nil {
		change(&o)
	}
	c := &client{shared: o.Shared, ends: make(chan error, 1)}
	c.Conn = http2.Client(netio.New(nc, o.Shared), o)
	c.OnChange(func() { c.change.Add(1) })
	var running sync.WaitGroup
	running.Go(func() { c.ends <- c.Run() })
	t.Cleanup(func() {
		c.Abort()
		running.Wait()
	})
	return c
}

// clientOf is a client of a server that says what the test likes.
func clientOf(t testing.TB, change func(*http2.Options), settings ...frame.Setting) (*client, *peer) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, far)
	c := newClient(t, near, change)
	preface := make([]byte, len(http2.Preface))
	if _, err := io.ReadFull(far, preface); err != nil || string(preface) != http2.Preface {
		t.Fatalf("the preface is %q: %v", preface, err)
	}
	p.WriteSettings(settings...)
	return c, p
}

// request is the head of one, as it has come in over HTTP/1.
func request(method, path string, fields ...string) *message.Head {
	h := &message.Head{Version: hop.HTTP11, Method: message.MethodByName([]byte(method))}
	target := h.Own(path)
	h.SetRequestLine(h.Own(method), target, message.Span{}, message.Span{}, target, message.Span{})
	h.Add(message.Host, "Host", "web")
	for i := 0; i < len(fields); i += 2 {
		h.Add(message.FieldByName([]byte(fields[i])), fields[i], fields[i+1])
	}
	return h
}

// open opens a stream and sends the head of a request.
func (c *client) open(t testing.TB, h *message.Head, end bool) *http2.Stream {
	t.Helper()
	s, ok := c.Open()
	if !ok {
		t.Fatal("there is no room for a stream")
	}
	now := c.shared.Now()
	s.Await(now, now+patience)
	if err := s.WriteHead(h, end); err != nil {
		t.Fatal(err)
	}
	s.Flush()
	return s
}

// status expects a response and returns its content.
func status(t testing.TB, s *http2.Stream, want int) string {
	t.Helper()
	var h message.Head
	if err := s.ReadHead(&h); err != nil {
		t.Fatal(err)
	}
	if h.Status != want {
		t.Errorf("status %d, want %d", h.Status, want)
	}
	return content(t, s)
}

func content(t testing.TB, s *http2.Stream) string {
	t.Helper()
	var all strings.Builder
	for {
		piece, err := s.Read()
		if errors.Is(err, io.EOF) {
			return all.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		all.Write(piece)
	}
}

func TestClient(t *testing.T) {
	t.Parallel()
	c, p := clientOf(t, nil)
	s := c.open(t, request("GET", "/a", "X-Thing", "1"), true)
	f := next[*frame.MetaHeadersFrame](p, nil)
	if f.StreamID != 1 || !f.StreamEnded() || f.PseudoValue("path") != "/a" || f.PseudoValue("authority") != "web" {
		t.Errorf("got %v", f)
	}
	p.headers(1, false, ":status", "103", "link", "</a>")
	p.headers(1, false, ":status", "200", "content-length", "5")
	p.WriteData(1, false, []byte("hello"))
	p.headers(1, true, "grpc-status", "0")
	var h message.Head
	if err := s.ReadHead(&h); err != nil || h.Status != 103 || h.Framing != message.NoBody {
		t.Errorf("got %d, %v", h.Status, err)
	}
	if got := status(t, s, 200); got != "hello" {
		t.Errorf("got %q", got)
	}
	if tr := s.Trailers(); tr == nil || !tr.Has(message.GRPCStatus) {
		t.Error("there are no trailers")
	}
	if s.Gone() || c.Active() != 0 {
		t.Errorf("gone %t, %d streams active", s.Gone(), c.Active())
	}
	s.Close()
	if s := c.open(t, request("GET", "/b"), true); s.ID() != 3 {
		t.Errorf("the second stream is %d", s.ID())
	}
}

// TestUnsentStreams fail in a way that lets them be tried elsewhere.
func TestUnsentStreams(t *testing.T) {
	t.Parallel()
	c, p := clientOf(t, nil)
	s, _ := c.Open()
	p.WriteGoAway(0, frame.ErrCodeNo, nil)
	c.ended(t, fault.None, func() bool { return c.Gone() })
	if err := s.WriteHead(request("GET", "/"), true); kindOf(err) != fault.UpstreamRefused {
		t.Error(err)
	}
	if _, ok := c.Open(); ok || c.Capacity() != 0 {
		t.Error("a connection that is going away takes streams")
	}
	s.Close()
	checkEnd(t, c.ends, fault.None)
}

// ended waits for a condition of the connection.
func (c *client) ended(t testing.TB, _ fault.Kind, is func() bool) {
	t.Helper()
	eventually(t, "the end", is)
}

// TestStreamsFail as their server made them, each with its kind.
func TestStreamsFail(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		send   func(p *peer)
		kind   fault.Kind
		reason string
	}{
		{"refused", func(p *peer) { p.WriteRSTStream(1, frame.ErrCodeRefusedStream) }, fault.UpstreamRefused, "web:1 reset the stream (REFUSED_STREAM)"},
		{"reset", func(p *peer) { p.WriteRSTStream(1, frame.ErrCodeInternal) }, fault.UpstreamReset, "web:1 reset the stream (INTERNAL_ERROR)"},
		{"going away", func(p *peer) { p.WriteGoAway(0, frame.ErrCodeNo, nil) }, fault.UpstreamRefused, "web:1 is going away (NO_ERROR) and did not take the stream"},
		{"closed", func(p *peer) { p.CloseWrite() }, fault.UpstreamClosed, "web:1 closed the connection before it answered"},
		{"closed within", func(p *peer) { p.headers(1, false, ":status", "200"); p.CloseWrite() }, fault.UpstreamClosed, "web:1 closed the connection within its response"},
		{"malformed", func(p *peer) { p.headers(1, true, ":status", "200", "X-Upper", "1") }, fault.UpstreamProtocol, "web:1 sent a response that can't be understood: field 1: upper case in the name"},
		{"too large", func(p *peer) { p.headers(1, true, ":status", "200", "x", strings.Repeat("x", 5000)) }, fault.UpstreamHeader, "web:1 sent a response that can't be understood: the head is larger than 4000 bytes"},
		{"101", func(p *peer) { p.headers(1, false, ":status", "101") }, fault.UpstreamProtocol, ""},
		{"content first", func(p *peer) { p.WriteData(1, true, []byte("x")) }, fault.UpstreamHTTP2, ""},
		{"content of HEAD's", func(p *peer) {
			p.headers(1, false, ":status", "204")
			p.WriteData(1, true, []byte("x"))
		}, fault.UpstreamHTTP2, ""},
		{"less than announced", func(p *peer) {
			p.headers(1, false, ":status", "200", "content-length", "2")
			p.WriteData(1, true, []byte("x"))
		}, fault.UpstreamHTTP2, ""},
		{"two heads", func(p *peer) { p.headers(1, false, ":status", "200"); p.headers(1, false, "x", "1") }, fault.UpstreamHTTP2, ""},
		{"interim flood", func(p *peer) {
			for range 20 {
				p.headers(1, false, ":status", "103")
			}
		}, fault.UpstreamHTTP2, "web:1 sent many interim responses at once: the stream is reset with ENHANCE_YOUR_CALM"},
		{"a push", func(p *peer) {
			p.WritePushPromise(frame.PushPromiseParam{StreamID: 1, PromiseID: 2, EndHeaders: true})
		}, fault.UpstreamHTTP2, ""},
		{"a stream of its own", func(p *peer) { p.headers(2, true, ":status", "200") }, fault.UpstreamHTTP2, ""},
		{"not HTTP/2", func(p *peer) { io.WriteString(p.Conn, "HTTP/1.1 400 Bad Request\r\n\r\n") }, fault.UpstreamHTTP2, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, p := clientOf(t, func(o *http2.Options) { o.Limits.HeadBytes = 4000 })
			s := c.open(t, request("GET", "/"), true)
			defer s.Close()
			next[*frame.MetaHeadersFrame](p, nil)
			go io.Copy(io.Discard, p.Conn)
			tt.send(p)
			eventually(t, "the stream being gone", s.Gone)
			// What is done with a stream fails in the end, whatever came before.
			var h message.Head
			err := s.ReadHead(&h)
			for err == nil && h.Status < 200 {
				err = s.ReadHead(&h)
			}
			for err == nil {
				_, err = s.Read()
			}
			if f := fault.Of(err); f.Kind != tt.kind || tt.reason != "" && f.Reason != tt.reason {
				t.Errorf("got %s: %v", f.Kind, err)
			}
		})
	}
}

// TestGoingAway leaves the streams that the server took.
func TestGoingAway(t *testing.T) {
	t.Parallel()
	c, p := clientOf(t, nil)
	first := c.open(t, request("GET", "/"), true)
	second := c.open(t, request("GET", "/"), true)
	defer second.Close()
	next(p, func(f *frame.MetaHeadersFrame) bool { return f.StreamID == 3 })
	p.WriteGoAway(1<<31-1, frame.ErrCodeNo, nil)
	p.WriteGoAway(1, frame.ErrCodeNo, nil)
	var h message.Head
	if err := second.ReadHead(&h); kindOf(err) != fault.UpstreamRefused {
		t.Error(err)
	}
	p.headers(1, false, ":status", "200")
	p.WriteData(1, true, []byte("served"))
	if got := status(t, first, 200); got != "served" {
		t.Errorf("got %q", got)
	}
	first.Close()
	checkEnd(t, c.ends, fault.None)
	if c.change.Load() < 2 {
		t.Error("nobody was told")
	}
}

// TestEarlyResponse is read whole, though the server wants no more of the
// request.
func TestEarlyResponse(t *testing.T) {
	t.Parallel()
	c, p := clientOf(t, nil)
	r := request("POST", "/")
	r.Framing, r.Length = message.Chunked, -1
	s := c.open(t, r, false)
	defer s.Close()
	next[*frame.MetaHeadersFrame](p, nil)
	p.headers(1, false, ":status", "413")
	p.WriteData(1, true, []byte("enough"))
	p.WriteRSTStream(1, frame.ErrCodeNo)
	eventually(t, "the reset", s.Gone)
	if err := s.Write([]byte("more")); kindOf(err) != fault.UpstreamReset {
		t.Errorf("a write ends with %v", err)
	}
	if got := status(t, s, 413); got != "enough" {
		t.Errorf("got %q", got)
	}
}

// TestNoExtendedConnect is sent to a server that has said its settings, and not
// that it takes it (RFC 8441 section 3).
func TestNoExtendedConnect(t *testing.T) {
	t.Parallel()
	c, _ := clientOf(t, nil, frame.Setting{ID: frame.SettingMaxConcurrentStreams, Val: 2})
	eventually(t, "the setting", func() bool { return c.Capacity() == 2 })
	s, _ := c.Open()
	r := request("GET", "/chat", "Upgrade", "websocket")
	r.Upgrade = true
	if err := s.WriteHead(r, false); kindOf(err) != fault.UpstreamProtocol {
		t.Errorf("got %v", err)
	}
	s.Close()
	c.Shutdown()
	checkEnd(t, c.ends, fault.None)
}

func TestCapacity(t *testing.T) {
	t.Parallel()
	c, p := clientOf(t, func(o *http2.Options) { o.MaxStreams = 1000 }, frame.Setting{ID: frame.SettingMaxConcurrentStreams, Val: 2})
	eventually(t, "the setting", func() bool { return c.Capacity() == 2 })
	s := c.open(t, request("GET", "/"), true)
	other, _ := c.Open()
	if _, ok := c.Open(); ok || c.Capacity() != 0 {
		t.Error("a third stream was opened")
	}
	before := c.change.Load()
	next[*frame.MetaHeadersFrame](p, nil)
	p.headers(1, true, ":status", "200")
	status(t, s, 200)
	eventually(t, "room", func() bool { return c.change.Load() > before && c.Capacity() == 1 })
	s.Close()
	other.Close()
	if c.Capacity() != 2 {
		t.Errorf("room for %d", c.Capacity())
	}
	c.Shutdown()
	checkEnd(t, c.ends, fault.None)
}

func TestExtendedConnect(t *testing.T) {
	t.Parallel()
	c, p := clientOf(t, nil, frame.Setting{ID: frame.SettingEnableConnectProtocol, Val: 1})
	eventually(t, "the setting", c.ExtendedConnect)
	r := request("GET", "/chat", "Upgrade", "websocket")
	r.Upgrade = true
	s := c.open(t, r, false)
	defer s.Close()
	f := next[*frame.MetaHeadersFrame](p, nil)
	if f.PseudoValue("method") != "CONNECT" || f.PseudoValue("protocol") != "websocket" {
		t.Errorf("got %v", f)
	}
	p.headers(1, false, ":status", "200")
	p.WriteData(1, false, []byte("ping"))
	var h message.Head
	if err := s.ReadHead(&h); err != nil || h.Status != 101 || h.Framing != message.Tunnel || !h.Upgrade {
		t.Errorf("got %d, %v", h.Status, err)
	}
	d := s.Duplex()
	if err := d.Fill(); err != nil || string(d.Buffered()) != "ping" {
		t.Errorf("got %q, %v", d.Buffered(), err)
	}
	d.Consume(4)
	if err := d.Write([]byte("pong")); err != nil {
		t.Error(err)
	}
	if f := next[*frame.DataFrame](p, nil); string(f.Data()) != "pong" {
		t.Errorf("got %s", f)
	}
	d.Close()
	p.reset(1, http2.Cancel)
	if err := d.Fill(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// TestSilentServer is given up.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	c, p := clientOf(t, func(o *http2.Options) { o.KeepAlive, o.KeepAliveTimeout = 20*time.Millisecond, 2*time.Second })
	s := c.open(t, request("GET", "/"), true)
	defer s.Close()
	next[*frame.PingFrame](p, nil)
	var h message.Head
	if err := s.ReadHead(&h); kindOf(err) != fault.UpstreamClosed || !strings.Contains(err.Error(), "PING") {
		t.Error(err)
	}
	checkEnd(t, c.ends, fault.UpstreamClosed)
}

func TestIdleClient(t *testing.T) {
	t.Parallel()
	c, p := clientOf(t, func(o *http2.Options) { o.IdleTimeout = 20 * time.Millisecond })
	p.goAway(http2.NoError)
	checkEnd(t, c.ends, fault.None)
}

// TestHeaderTable tells a server that changes its size that none is used.
func TestHeaderTable(t *testing.T) {
	t.Parallel()
	c, p := clientOf(t, nil, frame.Setting{ID: frame.SettingHeaderTableSize, Val: 0})
	next(p, func(f *frame.SettingsFrame) bool { return f.IsAck() })
	var decoded []hpack.HeaderField
	decoder := hpack.NewDecoder(0, func(f hpack.HeaderField) { decoded = append(decoded, f) })
	p.ReadMetaHeaders = nil
	s := c.open(t, request("GET", "/", "X-Large", strings.Repeat("~", 40000)), true)
	defer s.Close()
	first := next[*frame.HeadersFrame](p, nil)
	if first.HeaderBlockFragment()[0] != 0x20 {
		t.Error("the block does not begin with a change of the table's size")
	}
	decoder.Write(first.HeaderBlockFragment())
	for ended := first.HeadersEnded(); !ended; {
		f := next[*frame.ContinuationFrame](p, nil)
		decoder.Write(f.HeaderBlockFragment())
		ended = f.HeadersEnded()
	}
	if err := decoder.Close(); err != nil || len(decoded) != 5 || len(decoded[4].Value) != 40000 {
		t.Errorf("%d fields, %v", len(decoded), err)
	}
}
