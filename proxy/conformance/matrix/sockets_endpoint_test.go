package matrix_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// serveSockets runs an endpoint that takes WebSockets over HTTP/2 (RFC 8441),
// which net/http's server does not, and hands them to the handlers of x as if they
// had come over HTTP/1.
func serveSockets(t *testing.T, x *cross) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if x.up.TLS {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{x.ca.Load(x.ca.Issue("127.0.0.1"))}, NextProtos: []string{"h2"}})
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			e := &socketEndpoint{x: x, Conn: c, streams: map[uint32]*socket{}, room: 65535}
			e.roomier = sync.NewCond(&e.mu)
			wg.Go(e.run)
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, c := range open {
			c.Close()
		}
		wg.Wait()
	})
	return address
}

// socketEndpoint is one of its connections.
type socketEndpoint struct {
	x *cross
	net.Conn
	sockets sync.WaitGroup

	mu      sync.Mutex // guards what follows, and all that is written
	framer  *http2.Framer
	streams map[uint32]*socket
	room    int // of the connection's window
	roomier *sync.Cond
	ended   bool
}

// socket is one stream: a connection between the handler and the frames. It is a
// http.ResponseWriter whose Hijack gives the handler its end.
type socket struct {
	endpoint *socketEndpoint
	id       uint32
	room     int
	header   http.Header
	status   int
	in       *io.PipeWriter // to the handler
	out      net.Conn       // the handler's end
}

func (e *socketEndpoint) run() {
	defer e.sockets.Wait()
	defer e.Close()
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(e, preface); err != nil || string(preface) != http2.ClientPreface {
		e.x.T.Errorf("the endpoint got the preface %q (%v)", preface, err)
		return
	}
	e.framer = http2.NewFramer(e.Conn, bufio.NewReader(e.Conn))
	e.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	e.write(func() error {
		return e.framer.WriteSettings(http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
	})
	for {
		f, err := e.framer.ReadFrame()
		if err != nil {
			e.end()
			return
		}
		e.take(f)
	}
}

func (e *socketEndpoint) write(f func() error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return f()
}

func (e *socketEndpoint) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = true
	e.roomier.Broadcast()
	for _, s := range e.streams {
		s.in.CloseWithError(io.ErrUnexpectedEOF)
	}
}

func (e *socketEndpoint) take(f http2.Frame) {
	id := f.Header().StreamID
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			e.write(e.framer.WriteSettingsAck)
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			e.write(func() error { return e.framer.WritePing(true, f.Data) })
		}
	case *http2.WindowUpdateFrame:
		e.mu.Lock()
		if s := e.streams[id]; s != nil {
			s.room += int(f.Increment)
		} else if id == 0 {
			e.room += int(f.Increment)
		}
		e.roomier.Broadcast()
		e.mu.Unlock()
	case *http2.MetaHeadersFrame:
		e.open(id, f)
	case *http2.DataFrame:
		s := e.stream(id)
		if n := len(f.Data()); n > 0 && s != nil {
			s.in.Write(f.Data())
			e.write(func() error { return e.framer.WriteWindowUpdate(0, uint32(n)) })
			if !f.StreamEnded() {
				e.write(func() error { return e.framer.WriteWindowUpdate(id, uint32(n)) })
			}
		}
		if f.StreamEnded() && s != nil {
			s.in.Close()
		}
	case *http2.RSTStreamFrame:
		if s := e.stream(id); s != nil {
			s.in.CloseWithError(fmt.Errorf("reset: %v", f.ErrCode))
		}
	}
}

func (e *socketEndpoint) stream(id uint32) *socket {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.streams[id]
}

// open hands a stream to its handler: as a request of HTTP/1, if it is what RFC
// 8441 section 5 wants.
func (e *socketEndpoint) open(id uint32, f *http2.MetaHeadersFrame) {
	for pseudo, want := range map[string]string{"method": "CONNECT", "protocol": "websocket", "scheme": e.x.up.Scheme(), "authority": webHost} {
		if got := f.PseudoValue(pseudo); got != want {
			e.x.T.Errorf("the endpoint got :%s %q, want %q", pseudo, got, want)
		}
	}
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	r, err := http.NewRequest("GET", "http://"+webHost+f.PseudoValue("path"), nil)
	if err != nil {
		e.x.T.Error(err)
		return
	}
	for _, field := range f.RegularFields() {
		switch field.Name {
		case "connection", "upgrade", "sec-websocket-key", "sec-websocket-accept":
			e.x.T.Errorf("the endpoint got %s: %s", field.Name, field.Value)
		}
		r.Header.Add(field.Name, field.Value)
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-WebSocket-Key", key)
	in, feed := io.Pipe()
	s := &socket{endpoint: e, id: id, room: 65535, header: http.Header{}, in: feed}
	s.out = &socketConn{Conn: e.Conn, Reader: in, socket: s}
	e.mu.Lock()
	e.streams[id] = s
	e.mu.Unlock()
	e.sockets.Go(func() {
		e.x.answerSocket(s, r)
		s.end()
	})
}

// answerSocket is answer where the protocol is known.
func (x *cross) answerSocket(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	h := x.handlers[r.URL.Path]
	x.mu.Unlock()
	h(w, r)
}

func (s *socket) Header() http.Header { return s.header }

// WriteHeader sends the head that answers an extended CONNECT.
func (s *socket) WriteHeader(status int) {
	s.status = status
	if status == http.StatusSwitchingProtocols {
		status = 200
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	encoder.WriteField(hpack.HeaderField{Name: ":status", Value: fmt.Sprint(status)})
	for name, values := range s.header {
		switch name {
		case "Connection", "Upgrade", "Sec-Websocket-Accept":
			continue
		}
		for _, v := range values {
			encoder.WriteField(hpack.HeaderField{Name: string(bytes.ToLower([]byte(name))), Value: v})
		}
	}
	e := s.endpoint
	e.write(func() error {
		// Later blocks begin with the same empty table: nothing refers to it.
		return e.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: block.Bytes(), EndHeaders: true})
	})
}

// Write sends content as the peer's windows have room.
func (s *socket) Write(b []byte) (int, error) {
	e := s.endpoint
	e.mu.Lock()
	defer e.mu.Unlock()
	for sent := 0; sent < len(b); {
		n := min(len(b)-sent, s.room, e.room, 16<<10)
		if e.ended {
			return sent, net.ErrClosed
		}
		if n <= 0 {
			e.roomier.Wait()
			continue
		}
		if err := e.framer.WriteData(s.id, false, b[sent:sent+n]); err != nil {
			return sent, err
		}
		s.room, e.room, sent = s.room-n, e.room-n, sent+n
	}
	return len(b), nil
}

// end ends the stream in good order.
func (s *socket) end() {
	e := s.endpoint
	e.write(func() error { return e.framer.WriteData(s.id, true, nil) })
	s.in.CloseWithError(net.ErrClosed)
	e.mu.Lock()
	delete(e.streams, s.id)
	e.mu.Unlock()
}

// Hijack gives the stream as a connection.
func (s *socket) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return s.out, bufio.NewReadWriter(bufio.NewReader(s.out), bufio.NewWriter(s.out)), nil
}

// socketConn is a stream as its handler has it; addresses and deadlines are the
// connection's.
type socketConn struct {
	net.Conn
	io.Reader
	socket *socket
}

func (c *socketConn) Read(b []byte) (int, error) { return c.Reader.Read(b) }

func (c *socketConn) Write(b []byte) (int, error) { return c.socket.Write(b) }

func (c *socketConn) Close() error { return c.Reader.(io.Closer).Close() }
