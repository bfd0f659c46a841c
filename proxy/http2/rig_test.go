package http2_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	frame "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/http2"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/netio"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// Most of these tests wait, and may do so together.
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// patience is how long something may take on a slow machine.
const patience = time.Minute

// server accepts connections and has each request handled.
type server struct {
	address string
	options http2.Options
	ends    chan error // what Run returned
	conns   chan *http2.Conn
	running sync.WaitGroup
}

// handler serves a stream; it need not close it.
type handler func(s *http2.Stream, h *message.Head)

func serve(t testing.TB, handle handler, change func(*http2.Options)) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{
		address: l.Addr().String(), ends: make(chan error, 1000), conns: make(chan *http2.Conn, 1000),
		options: http2.Options{Shared: netio.NewShared(), Name: "the client", HeadTimeout: patience, StreamIdle: patience},
	}
	if change != nil {
		change(&s.options)
	}
	var mu sync.Mutex
	var conns []*http2.Conn
	s.running.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			c := s.attach(nc, handle)
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			s.conns <- c
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Abort()
		}
		mu.Unlock()
		s.running.Wait()
	})
	return s
}

// attach serves a connection.
func (s *server) attach(nc net.Conn, handle handler) *http2.Conn {
	c := http2.Server(netio.New(nc, s.options.Shared), s.options, func(st *http2.Stream) {
		s.running.Go(func() {
			defer st.Close()
			var h message.Head
			st.TakeHead(&h)
			handle(st, &h)
		})
	})
	s.running.Go(func() { s.ends <- c.Run() })
	return c
}

// response is the head of one.
func response(status int, length int64, fields ...string) *message.Head {
	h := &message.Head{Status: status, Framing: message.ByLength, Length: length}
	switch {
	case length < 0:
		h.Framing = message.Chunked
	case length == 0:
		h.Framing = message.NoBody
	}
	for i := 0; i < len(fields); i += 2 {
		h.Add(message.FieldByName([]byte(fields[i])), fields[i], fields[i+1])
	}
	return h
}

// answer answers a request with its content, and its trailers.
func answer(s *http2.Stream, h *message.Head) {
	if err := s.Refused(); err != nil {
		text := err.Error()
		s.WriteHead(response(fault.Of(err).Kind.Status(), int64(len(text))), false)
		s.Write([]byte(text))
		s.End(nil)
		s.Flush()
		return
	}
	if s.WriteHead(response(200, h.Length, "x-method", string(h.MethodText()), "x-path", string(h.Path())), false) != nil {
		return
	}
	s.Flush()
	echo(s)
}

func echo(s *http2.Stream) {
	for {
		piece, err := s.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return
		}
		if s.Write(piece) != nil {
			return
		}
		s.Flush()
	}
	s.End(s.Trailers())
	s.Flush()
}

// hello answers every request once it has come whole.
func hello(s *http2.Stream, h *message.Head) {
	if s.Refused() != nil {
		answer(s, h)
		return
	}
	for {
		if _, err := s.Read(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return
		}
	}
	s.WriteHead(response(200, 5, "content-type", "text/plain"), false)
	s.Write([]byte("hello"))
	s.End(nil)
	s.Flush()
}

// peer is the other end of a connection, which says what a test likes.
type peer struct {
	t testing.TB
	net.Conn
	*frame.Framer
	encoder *hpack.Encoder
	encoded bytes.Buffer
}

// dial connects to a server and sends the preface and these settings.
func (s *server) dial(t testing.TB, settings ...frame.Setting) *peer {
	t.Helper()
	nc, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, nc)
	io.WriteString(nc, http2.Preface)
	p.WriteSettings(settings...)
	return p
}

func newPeer(t testing.TB, nc net.Conn) *peer {
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(patience))
	p := &peer{t: t, Conn: nc, Framer: frame.NewFramer(nc, nc)}
	p.AllowIllegalWrites = true
	p.encoder = hpack.NewEncoder(&p.encoded)
	p.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	return p
}

// CloseWrite ends what is sent: Close would reset the connection where something
// was left unread.
func (p *peer) CloseWrite() { p.Conn.(*net.TCPConn).CloseWrite() }

// block encodes fields, which are names and values in turn.
func (p *peer) block(fields ...string) []byte {
	p.encoded.Reset()
	for i := 0; i < len(fields); i += 2 {
		p.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(p.encoded.Bytes())
}

// get is the head of a request.
func get(more ...string) []string {
	return append([]string{":method", "GET", ":scheme", "http", ":authority", "web", ":path", "/"}, more...)
}

func post(more ...string) []string {
	return append([]string{":method", "POST", ":scheme", "http", ":authority", "web", ":path", "/"}, more...)
}

func (p *peer) headers(id uint32, end bool, fields ...string) {
	p.WriteHeaders(frame.HeadersFrameParam{StreamID: id, BlockFragment: p.block(fields...), EndHeaders: true, EndStream: end})
}

// next returns the next frame that accept says true of.
func next[F frame.Frame](p *peer, accept func(F) bool) F {
	p.t.Helper()
	for {
		f, err := p.ReadFrame()
		if err != nil {
			var none F
			p.t.Fatalf("no %T came: %v", none, err)
		}
		if want, ok := f.(F); ok && (accept == nil || accept(want)) {
			return want
		}
	}
}

// goAway expects the connection to end with the code.
func (p *peer) goAway(code http2.Code) {
	p.t.Helper()
	f := next[*frame.GoAwayFrame](p, nil)
	if http2.Code(f.ErrCode) != code {
		p.t.Errorf("GOAWAY with %s, want %s", f.ErrCode, code)
	}
}

// reset expects a stream to be reset with the code.
func (p *peer) reset(id uint32, code http2.Code) {
	p.t.Helper()
	f := next(p, func(f *frame.RSTStreamFrame) bool { return f.StreamID == id })
	if http2.Code(f.ErrCode) != code {
		p.t.Errorf("stream %d was reset with %s, want %s", id, f.ErrCode, code)
	}
}

// status expects the head of a response.
func (p *peer) status(id uint32, want string) {
	p.t.Helper()
	f := next(p, func(f *frame.MetaHeadersFrame) bool { return f.StreamID == id })
	if got := f.PseudoValue("status"); got != want {
		p.t.Errorf("stream %d: status %s, want %s", id, got, want)
	}
}

// ended expects a connection to end with a fault of the kind, None for none.
func (s *server) ended(t testing.TB, want fault.Kind) *fault.Error {
	t.Helper()
	return checkEnd(t, s.ends, want)
}

func checkEnd(t testing.TB, ends <-chan error, want fault.Kind) *fault.Error {
	t.Helper()
	select {
	case err := <-ends:
		f := fault.Of(err)
		switch {
		case f == nil && want != fault.None, f != nil && f.Kind != want:
			t.Errorf("the connection ended with %v, want the kind %s", err, want)
		}
		return f
	case <-time.After(patience):
		t.Fatal("the connection did not end")
	}
	return nil
}

// memory is a connection that is no socket.
func memory() (near, far net.Conn) { return net.Pipe() }
