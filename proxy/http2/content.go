package http2

import (
	"strconv"

	frame "golang.org/x/net/http2"
)

// content is the frame of DATA that is coming. Its payload is taken in as it
// arrives: it need not be whole.
type content struct {
	id   uint32
	left int  // of the payload, padding included
	pad  int  // of that, padding
	end  bool // the stream ends with it
}

// onData begins a frame of DATA, whose payload rest begins with.
func (c *Conn) onData(h header, rest []byte) (n int, err error) {
	n = headerSize
	k := content{id: h.id, left: h.length, end: h.has(frame.FlagDataEndStream)}
	if h.has(frame.FlagDataPadded) {
		if h.length == 0 {
			return 0, c.breach(FrameSizeError, "sent padded DATA without a length of the padding (RFC 9113 section 6.1)")
		}
		if len(rest) == 0 {
			return 0, nil
		}
		k.pad = int(rest[0])
		k.left--
		n++
		if k.pad > k.left {
			return 0, c.breach(ProtocolError, "sent DATA that is all padding and more (RFC 9113 section 6.1)")
		}
	}
	if err := c.admit(h, k.left-k.pad); err != nil {
		return 0, err
	}
	c.content = k
	if k.left == 0 {
		err = c.deliver(k.id, nil, k.end)
	}
	return n, err
}

// admit checks a frame of so much data against the windows, and against what the
// stream may have.
func (c *Conn) admit(h header, data int) error {
	if c.idleStream(h.id) {
		return c.breach(ProtocolError, "sent DATA on stream "+name(h.id)+", which was never opened (RFC 9113 section 5.1)")
	}
	if data == 0 && !h.has(frame.FlagDataEndStream) {
		if err := c.countControl("empty DATA frames"); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.unlock()
	if err := c.receive(h.length); err != nil {
		return err
	}
	s := c.streams.open[h.id]
	if s == nil {
		return c.afterEnd(h)
	}
	s.credit -= int64(h.length)
	s.received += int64(data)
	switch {
	case s.remoteEnd:
		return c.breakStream(s, StreamClosed, "sent DATA after the end of its stream (RFC 9113 section 5.1)")
	case s.credit < 0:
		return c.breakStream(s, FlowControlError, "sent more content than the stream's window allows (RFC 9113 section 6.9)")
	case !c.server && !s.answered:
		return c.breakStream(s, ProtocolError, "sent content before the head of the response (RFC 9113 section 8.1)")
	case s.length >= 0 && s.received > s.length:
		return c.breakStream(s, ProtocolError, "sent more content than Content-Length announced (RFC 9113 section 8.1.1)")
	}
	return nil
}

// receive counts n bytes against the connection's window, and gives them back where
// that is worth a frame.
func (c *Conn) receive(n int) error {
	c.flow.credit -= int64(n)
	if c.flow.credit < 0 {
		return c.breach(FlowControlError, "sent more content than the connection's window allows (RFC 9113 section 6.9)")
	}
	c.restore()
	return nil
}

// afterEnd is about a frame for a stream that is closed (RFC 9113 section 5.1):
// what was on its way when this side reset the stream is in order.
func (c *Conn) afterEnd(h header) error {
	how := c.streams.closed.find(h.id)
	switch *how {
	case resetHere:
		if h.has(frame.FlagDataEndStream) {
			*how = endedWhole // so nothing more is on its way
		}
	case endedWhole:
		return c.breach(StreamClosed, "sent "+h.kind.String()+" after the end of stream "+name(h.id)+" (RFC 9113 section 5.1)")
	case resetByPeer:
		c.out.reset(h.id, StreamClosed)
		if err := c.reply(); err != nil {
			return err
		}
	}
	return c.countLocked("frames for streams that have ended")
}

// takeContent takes in what there is of the present frame's payload.
func (c *Conn) takeContent(b []byte) (n int, err error) {
	k := &c.content
	n = min(len(b), k.left)
	if n == 0 {
		return 0, nil
	}
	data := max(min(n, k.left-k.pad), 0)
	k.left -= n
	return n, c.deliver(k.id, b[:data], k.end && k.left == 0)
}

// deliver gives content to its stream, if that is still open.
func (c *Conn) deliver(id uint32, data []byte, end bool) error {
	c.mu.Lock()
	defer c.unlock()
	s := c.streams.open[id]
	if s == nil || s.remoteEnd {
		return nil
	}
	if !s.keep(data) {
		return c.breakWith(s, EnhanceYourCalm, overloaded("for the content that "+c.options.Name+" sent ahead of who reads it"))
	}
	if end {
		return c.endRemote(s)
	}
	s.reading.Signal()
	return nil
}

// endRemote notes that the peer has ended its side of a stream.
func (c *Conn) endRemote(s *Stream) error {
	if s.length >= 0 && s.received != s.length {
		return c.breakStream(s, ProtocolError, "sent less content than Content-Length announced (RFC 9113 section 8.1.1)")
	}
	s.remoteEnd = true
	s.reading.Signal()
	if s.localEnd {
		c.closeStream(s, endedWhole)
	}
	return nil
}

func name(id uint32) string { return strconv.FormatUint(uint64(id), 10) }
