package snapshot_test

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

// framed is one end of an HTTP/2 connection, frame by frame, with deadlines on
// all that it does. It acknowledges SETTINGS and PING, unless it is rude.
type framed struct {
	*http2.Framer
	t    testing.TB
	fail func(format string, args ...any)
	nc   net.Conn // the socket
	rude bool

	block   bytes.Buffer
	encoder *hpack.Encoder
	next    uint32 // the stream that the client opens next
}

// newFramed is the client's end: nc is the socket, and stream what is read and
// written, which is TLS or the socket itself.
func newFramed(t testing.TB, nc net.Conn, stream io.ReadWriter) *framed {
	t.Helper()
	f := openFramed(t, nc, stream)
	nc.SetDeadline(timeLimit())
	if _, err := io.WriteString(stream, http2.ClientPreface); err != nil {
		f.fail("sending the preface: %v", err)
	}
	f.check(f.WriteSettings())
	return f
}

func openFramed(t testing.TB, nc net.Conn, stream io.ReadWriter) *framed {
	f := &framed{Framer: http2.NewFramer(stream, stream), t: t, fail: t.Fatalf, nc: nc, next: 1}
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.AllowIllegalWrites = true
	f.encoder = hpack.NewEncoder(&f.block)
	return f
}

// dialFramed opens an h2c connection.
func dialFramed(t testing.TB, address string) *framed {
	t.Helper()
	p := dialPeer(t, address)
	return newFramed(t, p.TCPConn, p.TCPConn)
}

// dialFramedTLS opens a connection that is encrypted.
func dialFramedTLS(t testing.TB, address string, c *tls.Config) *framed {
	t.Helper()
	c.NextProtos = []string{"h2"}
	p := dialSecure(t, address, c)
	return newFramed(t, p.TCPConn, p.tls)
}

func (f *framed) check(err error) {
	f.t.Helper()
	if err != nil {
		f.fail("sending a frame: %v", err)
	}
}

// encode makes a header block of "name: value" lines.
func (f *framed) encode(lines ...string) []byte {
	f.block.Reset()
	for _, l := range lines {
		name, value, _ := strings.Cut(l[1:], ": ")
		f.encoder.WriteField(hpack.HeaderField{Name: l[:1] + name, Value: value})
	}
	return bytes.Clone(f.block.Bytes())
}

// ask opens a stream with a request; end says that no content follows.
func (f *framed) ask(end bool, method, path string, fields ...string) (stream uint32) {
	f.t.Helper()
	stream = f.next
	f.next += 2
	lines := append([]string{":method: " + method, ":scheme: http", ":authority: web.test", ":path: " + path}, fields...)
	f.headers(stream, end, f.encode(lines...))
	return stream
}

// headers sends a header block, in as many frames as it takes.
func (f *framed) headers(stream uint32, end bool, block []byte) {
	f.t.Helper()
	const most = 16 << 10
	f.nc.SetWriteDeadline(timeLimit())
	first := block[:min(len(block), most)]
	block = block[len(first):]
	f.check(f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndStream: end, EndHeaders: len(block) == 0}))
	for len(block) > 0 {
		next := block[:min(len(block), most)]
		block = block[len(next):]
		f.check(f.WriteContinuation(stream, len(block) == 0, next))
	}
}

// read returns the next frame but for those of the connection's own upkeep,
// which it answers.
func (f *framed) read() (http2.Frame, error) {
	f.nc.SetReadDeadline(timeLimit())
	for {
		frame, err := f.ReadFrame()
		if err != nil || f.rude {
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

// until reads until a frame is what is looked for.
func (f *framed) until(what string, is func(http2.Frame) bool) http2.Frame {
	f.t.Helper()
	for {
		frame, err := f.read()
		if err != nil {
			f.fail("waiting for %s: %v", what, err)
		}
		if is(frame) {
			return frame
		}
	}
}

// response reads the final response of a stream, whole.
func (f *framed) response(stream uint32) (*http.Response, string) {
	f.t.Helper()
	var resp *http.Response
	var body bytes.Buffer
	f.until("a response", func(frame http2.Frame) (ended bool) {
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
			f.fail("stream %d was reset: %v", stream, frame.ErrCode)
		}
		return false
	})
	return resp, body.String()
}

// head reads the head of a stream's response.
func (f *framed) head(stream uint32) *http.Response {
	f.t.Helper()
	frame := f.until("a response's head", func(frame http2.Frame) bool {
		_, ok := frame.(*http2.MetaHeadersFrame)
		return ok && frame.Header().StreamID == stream
	})
	return responseOf(frame.(*http2.MetaHeadersFrame))
}

// reset waits until a stream is reset, and returns why.
func (f *framed) reset(stream uint32) http2.ErrCode {
	f.t.Helper()
	frame := f.until("a reset", func(frame http2.Frame) bool {
		_, ok := frame.(*http2.RSTStreamFrame)
		return ok && frame.Header().StreamID == stream
	})
	return frame.(*http2.RSTStreamFrame).ErrCode
}

// ended waits for the end of the connection, and returns what GOAWAY said last;
// ok is false where there was none.
func (f *framed) ended() (code http2.ErrCode, ok bool) {
	f.t.Helper()
	for {
		frame, err := f.read()
		if ne, isNet := err.(net.Error); isNet && ne.Timeout() {
			f.fail("the connection does not end")
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

// get asks for a path, and reads the response.
func (f *framed) get(path string) *http.Response {
	f.t.Helper()
	resp, _ := f.response(f.ask(true, "GET", path))
	return resp
}

func (f *framed) close() { f.nc.Close() }

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

// framedEndpoint is an h2c endpoint, frame by frame: serve has each connection
// once its preface has come. n counts them from 0.
func framedEndpoint(t *testing.T, serve func(n int, f *framed)) string {
	t.Helper()
	return endpoint(t, func(n int, p *peer) {
		p.expect(http2.ClientPreface)
		f := openFramed(t, p.TCPConn, struct {
			io.Reader
			io.Writer
		}{p.r, p.TCPConn})
		f.fail = p.fail
		f.check(f.WriteSettings())
		serve(n, f)
	})
}

// request waits for the head of the next request, and returns its stream; ok is
// false where the connection ends before.
func (f *framed) request() (stream uint32, ok bool) {
	for {
		frame, err := f.read()
		if err != nil {
			return 0, false
		}
		if head, is := frame.(*http2.MetaHeadersFrame); is {
			return head.StreamID, true
		}
	}
}

// answer sends a response's head.
func (f *framed) answer(stream uint32, end bool, lines ...string) {
	f.headers(stream, end, f.encode(lines...))
}

// closes ends this side and reads what is still on its way: closed with that unread, the
// connection would be reset.
func (f *framed) closes() {
	f.check(f.nc.(*net.TCPConn).CloseWrite())
	f.drain()
}

// drain reads until the connection ends.
func (f *framed) drain() {
	for {
		if _, err := f.read(); err != nil {
			if _, isStream := err.(http2.StreamError); !isStream {
				return
			}
		}
	}
}
