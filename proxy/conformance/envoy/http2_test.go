package envoy_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// http2Conn is a connection of HTTP/2 with prior knowledge (RFC 9113 section 3.3), on which
// a request may have what no library sends.
type http2Conn struct {
	*http2.Framer
	conn    net.Conn
	block   bytes.Buffer
	encoder *hpack.Encoder
	next    uint32 // the stream of the next request
}

func dialHTTP2(address string) (*http2Conn, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	c := &http2Conn{Framer: http2.NewFramer(conn, conn), conn: conn, next: 1}
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.encoder = hpack.NewEncoder(&c.block)
	if _, err = io.WriteString(conn, http2.ClientPreface); err == nil {
		err = c.WriteSettings()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *client) askHTTP2(q *request) (r response, err error) {
	if c.http2 == nil {
		if c.http2, err = dialHTTP2(c.address); err != nil {
			return r, err
		}
	}
	h := c.http2
	if err := h.conn.SetDeadline(time.Now().Add(proxytest.Patience)); err != nil {
		return r, err
	}
	stream := h.next
	h.next += 2
	if err := h.send(stream, q); err != nil {
		return r, err
	}
	r, left, err := h.receive(stream)
	if left {
		c.close()
	}
	return r, err
}

// send sends a request. Only calls have content, which is an empty message.
func (h *http2Conn) send(stream uint32, q *request) error {
	h.block.Reset()
	lines := []string{":method: " + q.method, ":scheme: http", ":authority: " + q.host, ":path: " + q.target}
	for _, f := range q.fields {
		if name, value, _ := strings.Cut(f, ": "); name == "cookie" && q.crumbs {
			for crumb := range strings.SplitSeq(value, "; ") {
				lines = append(lines, "cookie: "+crumb)
			}
			continue
		}
		lines = append(lines, f)
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line[1:], ": ")
		if err := h.encoder.WriteField(hpack.HeaderField{Name: line[:1] + name, Value: value}); err != nil {
			return err
		}
	}
	err := h.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: h.block.Bytes(), EndStream: q.form != asCall, EndHeaders: true})
	if err == nil && q.form == asCall {
		err = h.WriteData(stream, true, make([]byte, 5))
	}
	return err
}

// receive receives a response. The other side has left the connection if it does not take
// another request on it.
func (h *http2Conn) receive(stream uint32) (r response, left bool, err error) {
	for {
		frame, err := h.ReadFrame()
		if err != nil {
			if left || errors.Is(err, io.EOF) {
				return response{}, true, nil
			}
			return r, true, err
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				err = h.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !frame.IsAck() {
				err = h.WritePing(true, frame.Data)
			}
		case *http2.GoAwayFrame:
			left = true
		case *http2.RSTStreamFrame:
			if frame.StreamID == stream {
				return response{}, left, nil
			}
		case *http2.DataFrame:
			if frame.StreamID == stream {
				r.body += string(frame.Data())
			}
			if n := uint32(len(frame.Data())); n > 0 { // late ones count as well
				err = h.WriteWindowUpdate(0, n)
			}
		case *http2.MetaHeadersFrame:
			if frame.StreamID == stream {
				r.head(frame)
			}
		}
		if err != nil {
			return r, true, err
		}
		if head := frame.Header(); head.StreamID == stream && head.Flags.Has(http2.FlagDataEndStream) && (head.Type == http2.FrameData || head.Type == http2.FrameHeaders) {
			return r, left, nil
		}
	}
}

// head takes a head, or the trailers.
func (r *response) head(frame *http2.MetaHeadersFrame) {
	fields := http.Header{}
	for _, f := range frame.RegularFields() {
		fields.Add(f.Name, f.Value)
	}
	status, err := strconv.Atoi(frame.PseudoValue("status"))
	switch {
	case err != nil:
		r.trailer = fields
	case status >= 200:
		r.status, r.header = status, fields
	}
}
