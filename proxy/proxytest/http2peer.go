package proxytest

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// HTTP2Peer is one end of an HTTP/2 connection, frame by frame, with deadlines on
// all that it does. It acknowledges SETTINGS and PING, unless it is rude.
type HTTP2Peer struct {
	*http2.Framer
	T    testing.TB
	Fail func(format string, args ...any)
	Conn net.Conn // the socket
	Rude bool

	block   bytes.Buffer
	encoder *hpack.Encoder
	Next    uint32 // the stream that the client opens next
}

// DialHTTP2 opens an h2c connection.
func DialHTTP2(t testing.TB, address string) *HTTP2Peer {
	t.Helper()
	p := Dial(t, address)
	return NewHTTP2Peer(t, p.TCPConn, p.TCPConn)
}

// DialHTTP2TLS opens a connection that is encrypted.
func DialHTTP2TLS(t testing.TB, address string, c *tls.Config) *HTTP2Peer {
	t.Helper()
	c.NextProtos = []string{"h2"}
	p := DialTLS(t, address, c)
	return NewHTTP2Peer(t, p.TCPConn, p.TLS)
}

// NewHTTP2Peer is the client's end: nc is the socket, and stream what is read and
// written, which is TLS or the socket itself.
func NewHTTP2Peer(t testing.TB, nc net.Conn, stream io.ReadWriter) *HTTP2Peer {
	t.Helper()
	f := OpenHTTP2Peer(t, nc, stream)
	nc.SetDeadline(Deadline())
	if _, err := io.WriteString(stream, http2.ClientPreface); err != nil {
		f.Fail("sending the preface: %v", err)
	}
	f.Check(f.WriteSettings())
	return f
}

// OpenHTTP2Peer is either end, before it has sent anything.
func OpenHTTP2Peer(t testing.TB, nc net.Conn, stream io.ReadWriter) *HTTP2Peer {
	f := &HTTP2Peer{Framer: http2.NewFramer(stream, stream), T: t, Fail: t.Fatalf, Conn: nc, Next: 1}
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.AllowIllegalWrites = true
	f.encoder = hpack.NewEncoder(&f.block)
	return f
}

// HTTP2Endpoint is an h2c endpoint, frame by frame: serve has each connection
// once its preface has come. n counts them from 0.
func HTTP2Endpoint(t testing.TB, serve func(n int, f *HTTP2Peer)) string {
	t.Helper()
	return Endpoint(t, func(n int, p *Peer) {
		p.Expect(http2.ClientPreface)
		f := OpenHTTP2Peer(t, p.TCPConn, struct {
			io.Reader
			io.Writer
		}{p.Reader, p.TCPConn})
		f.Fail = p.Fail
		f.Check(f.WriteSettings())
		serve(n, f)
	})
}

// Forever has f do one thing until the connection ends. The test ends it if the
// proxy does not, long after it should have.
func (f *HTTP2Peer) Forever(do func(i uint32) error) {
	f.Conn.SetWriteDeadline(Deadline())
	for i := uint32(0); i < 1<<20; i++ {
		if do(i) != nil {
			return
		}
	}
}

// HPACKBomb is a header block with one large entry for the dynamic table, and then a
// byte for each time that it is to be written out.
func HPACKBomb(f *HTTP2Peer, lines ...string) []byte {
	block := f.Encode(append(lines, "x-bomb: "+strings.Repeat("b", 4000))...)
	return append(block, bytes.Repeat([]byte{0xbe}, 16<<10)...)
}

// IsGoAway is for Until.
func IsGoAway(frame http2.Frame) bool {
	_, is := frame.(*http2.GoAwayFrame)
	return is
}

// Check fails the test unless a frame was sent.
func (f *HTTP2Peer) Check(err error) {
	f.T.Helper()
	if err != nil {
		f.Fail("sending a frame: %v", err)
	}
}

// Encode makes a header block of "name: value" lines.
func (f *HTTP2Peer) Encode(lines ...string) []byte {
	f.block.Reset()
	for _, l := range lines {
		name, value, _ := strings.Cut(l[1:], ": ")
		f.encoder.WriteField(hpack.HeaderField{Name: l[:1] + name, Value: value})
	}
	return bytes.Clone(f.block.Bytes())
}

// Ask opens a stream with a request; end says that no content follows.
func (f *HTTP2Peer) Ask(end bool, method, path string, fields ...string) (stream uint32) {
	f.T.Helper()
	stream = f.Next
	f.Next += 2
	lines := append([]string{":method: " + method, ":scheme: http", ":authority: web.test", ":path: " + path}, fields...)
	f.SendHeaders(stream, end, f.Encode(lines...))
	return stream
}

// SendHeaders sends a header block, in as many frames as it takes.
func (f *HTTP2Peer) SendHeaders(stream uint32, end bool, block []byte) {
	f.T.Helper()
	const most = 16 << 10
	f.Conn.SetWriteDeadline(Deadline())
	first := block[:min(len(block), most)]
	block = block[len(first):]
	f.Check(f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndStream: end, EndHeaders: len(block) == 0}))
	for len(block) > 0 {
		next := block[:min(len(block), most)]
		block = block[len(next):]
		f.Check(f.WriteContinuation(stream, len(block) == 0, next))
	}
}

// ReadNext returns the next frame but for those of the connection's own upkeep,
// which it answers.
func (f *HTTP2Peer) ReadNext() (http2.Frame, error) {
	f.Conn.SetReadDeadline(Deadline())
	for {
		frame, err := f.ReadFrame()
		if err != nil || f.Rude {
			return frame, err
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				f.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !frame.IsAck() {
				f.WritePing(true, frame.Data)
			}
		case *http2.WindowUpdateFrame:
		default:
			return frame, nil
		}
	}
}

// Until reads until a frame is what is looked for.
func (f *HTTP2Peer) Until(what string, is func(http2.Frame) bool) http2.Frame {
	f.T.Helper()
	for {
		frame, err := f.ReadNext()
		if err != nil {
			f.Fail("waiting for %s: %v", what, err)
		}
		if is(frame) {
			return frame
		}
	}
}

// ReadResponse reads the final response of a stream, whole.
func (f *HTTP2Peer) ReadResponse(stream uint32) (*http.Response, string) {
	f.T.Helper()
	var resp *http.Response
	var body bytes.Buffer
	f.Until("a response", func(frame http2.Frame) (ended bool) {
		if frame.Header().StreamID != stream {
			return false
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			if resp == nil {
				resp = responseOf(frame)
			}
			return frame.StreamEnded()
		case *http2.DataFrame:
			body.Write(frame.Data())
			return frame.StreamEnded()
		case *http2.RSTStreamFrame:
			f.Fail("stream %d was reset: %v", stream, frame.ErrCode)
		}
		return false
	})
	return resp, body.String()
}

// ReadHead reads the head of a stream's response.
func (f *HTTP2Peer) ReadHead(stream uint32) *http.Response {
	f.T.Helper()
	frame := f.Until("a response's head", func(frame http2.Frame) bool {
		_, ok := frame.(*http2.MetaHeadersFrame)
		return ok && frame.Header().StreamID == stream
	})
	return responseOf(frame.(*http2.MetaHeadersFrame))
}

// ReadReset waits until a stream is reset, and returns why.
func (f *HTTP2Peer) ReadReset(stream uint32) http2.ErrCode {
	f.T.Helper()
	frame := f.Until("a reset", func(frame http2.Frame) bool {
		_, ok := frame.(*http2.RSTStreamFrame)
		return ok && frame.Header().StreamID == stream
	})
	return frame.(*http2.RSTStreamFrame).ErrCode
}

// ReadEnd waits for the end of the connection, and returns what GOAWAY said last;
// ok is false where there was none.
func (f *HTTP2Peer) ReadEnd() (code http2.ErrCode, ok bool) {
	f.T.Helper()
	for {
		frame, err := f.ReadNext()
		if ne, isNet := err.(net.Error); isNet && ne.Timeout() {
			f.Fail("the connection does not end")
		}
		if err != nil {
			if _, isStream := err.(http2.StreamError); isStream {
				continue
			}
			return code, ok
		}
		if goAway, is := frame.(*http2.GoAwayFrame); is {
			code, ok = goAway.ErrCode, true
		}
	}
}

// Get asks for a path, and reads the response.
func (f *HTTP2Peer) Get(path string) *http.Response {
	f.T.Helper()
	resp, _ := f.ReadResponse(f.Ask(true, "GET", path))
	return resp
}

// Close closes the socket.
func (f *HTTP2Peer) Close() { f.Conn.Close() }

func responseOf(frame *http2.MetaHeadersFrame) *http.Response {
	r := &http.Response{Header: http.Header{}}
	for _, field := range frame.Fields {
		if field.Name == ":status" {
			r.StatusCode, _ = strconv.Atoi(field.Value)
			continue
		}
		r.Header.Add(field.Name, field.Value)
	}
	return r
}

// ReadRequest waits for the head of the next request, and returns its stream; ok is
// false where the connection ends before.
func (f *HTTP2Peer) ReadRequest() (stream uint32, ok bool) {
	for {
		frame, err := f.ReadNext()
		if err != nil {
			return 0, false
		}
		if head, is := frame.(*http2.MetaHeadersFrame); is {
			return head.StreamID, true
		}
	}
}

// Answer sends a response's head.
func (f *HTTP2Peer) Answer(stream uint32, end bool, lines ...string) {
	f.SendHeaders(stream, end, f.Encode(lines...))
}

// CloseWrite ends this side and reads what is still on its way: closed with that unread, the
// connection would be reset.
func (f *HTTP2Peer) CloseWrite() {
	f.Check(f.Conn.(*net.TCPConn).CloseWrite())
	f.Drain()
}

// Drain reads until the connection ends.
func (f *HTTP2Peer) Drain() {
	for {
		if _, err := f.ReadNext(); err != nil {
			if _, isStream := err.(http2.StreamError); !isStream {
				return
			}
		}
	}
}
