package http2

import (
	"encoding/binary"
	"errors"
	"time"

	frame "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/overload"
)

// heading is the header block that is coming.
type heading struct {
	header        // of its first frame
	open   bool   // CONTINUATION frames are to follow
	end    bool   // the stream ends with it
	more   int    // how many CONTINUATION frames there were
	held   int    // what the connection's account has for it
	wire   []byte // the fragments, where there are several
	what   purpose
	block  *block // where it goes, nil for nowhere
	// selfish is true where the stream is to depend on itself.
	selfish bool
}

// purpose is what becomes of a header block.
type purpose uint8

const (
	ignored purpose = iota // decoded and dropped
	opens                  // a request
	answers                // a response
	trails                 // trailers
	tooLate                // comes after the end of its stream
)

// onHeaders begins a header block.
func (c *Conn) onHeaders(h header, p []byte) error {
	k := heading{header: h, end: h.has(frame.FlagHeadersEndStream)}
	pad := 0
	if h.has(frame.FlagHeadersPadded) {
		if len(p) == 0 {
			return c.breach(FrameSizeError, "sent padded HEADERS without a length of the padding (RFC 9113 section 6.2)")
		}
		pad, p = int(p[0]), p[1:]
	}
	if h.has(frame.FlagHeadersPriority) {
		if len(p) < 5 {
			return c.breach(FrameSizeError, "sent HEADERS with a priority that is cut off (RFC 9113 section 6.2)")
		}
		k.selfish = binary.BigEndian.Uint32(p)&maxID == h.id
		p = p[5:]
	}
	if pad > len(p) {
		return c.breach(ProtocolError, "sent HEADERS with more padding than payload (RFC 9113 section 6.2)")
	}
	p = p[:len(p)-pad]
	if err := c.beginBlock(&k, h); err != nil {
		return err
	}
	c.heading = k
	c.headers.begin(k.block, k.what == trails)
	return c.fragment(p, h.has(frame.FlagHeadersEndHeaders))
}

// onContinuation goes on with a header block.
func (c *Conn) onContinuation(h header, p []byte) error {
	if c.heading.more++; c.heading.more > c.options.Floods.Continuations {
		return c.flood("more CONTINUATION frames in a header block than any head needs")
	}
	return c.fragment(p, h.has(frame.FlagContinuationEndHeaders))
}

// fragment takes in a piece of a header block, and decodes the block when it is
// whole: what the decoder has to keep of a piece it would never give up again.
func (c *Conn) fragment(p []byte, whole bool) error {
	k := &c.heading
	k.open = !whole
	if !whole || len(k.wire) > 0 {
		switch {
		case len(k.wire)+len(p) > listRoom*c.options.Limits.HeadBytes:
			return c.hopeless()
		case !c.holdBlock(p):
			return &breach{EnhanceYourCalm, overloaded("for the header block that " + c.options.Name + " sent")}
		case !whole:
			return nil
		}
		p = k.wire
	}
	_, err := c.decoder.Write(p)
	if err == nil {
		err = c.decoder.Close()
	}
	c.releaseBlock()
	switch {
	case errors.Is(err, hpack.ErrStringLength) || c.headers.hopeless():
		return c.hopeless()
	case err != nil:
		return c.breach(CompressionError, "sent a header block that can't be decoded (RFC 9113 section 4.3): "+err.Error())
	}
	err = c.endBlock()
	k.block, c.headers.dest = nil, nil // it is the stream's
	c.headers.cookies = kept(c.headers.cookies)
	return err
}

// hopeless is the end of a connection whose peer sent more than is worth decoding.
func (c *Conn) hopeless() error {
	return c.flood("a header list many times larger than the limit")
}

// beginBlock finds out what a header block is.
func (c *Conn) beginBlock(k *heading, h header) error {
	if c.server && h.id%2 == 1 && h.id > c.seenID {
		c.seenID = h.id
		if c.spare == nil {
			c.spare = new(block)
		}
		k.what, k.block = opens, c.spare
		return nil
	}
	c.mu.Lock()
	defer c.unlock()
	s := c.streams.open[h.id]
	switch {
	case c.idleStream(h.id):
		return c.breach(ProtocolError, "sent HEADERS on stream "+name(h.id)+", which it can't open (RFC 9113 section 5.1.1)")
	case s == nil:
		return c.lateBlock(h)
	case s.remoteEnd:
		k.what = tooLate
	case c.server || s.answered:
		k.what, k.block = trails, c.newBlock()
	default:
		k.what, k.block = answers, c.newBlock()
	}
	return nil
}

// lateBlock is about a header block for a stream that has ended: the trailers of
// one that was reset here, as long as that may be.
func (c *Conn) lateBlock(h header) error {
	if c.server && *c.streams.closed.find(h.id) == longAgo && !c.streams.closed.full() {
		return c.breach(ProtocolError, "opened stream "+name(h.id)+" after a later one (RFC 9113 section 5.1.1)")
	}
	return c.afterEnd(h)
}

// endBlock is called when a header block is whole.
func (c *Conn) endBlock() error {
	k := &c.heading
	if k.what == opens {
		return c.open(k)
	}
	c.mu.Lock()
	defer c.unlock()
	c.busy()
	s := c.streams.open[k.id]
	switch {
	case s == nil && k.what == ignored:
		return nil
	case s == nil: // it has ended since the block began
		c.keepBlock(k.block)
		return c.afterEnd(k.header)
	case k.what == tooLate:
		return c.breakStream(s, StreamClosed, "sent HEADERS after the end of its stream (RFC 9113 section 5.1)")
	case k.what == trails:
		return c.endTrailers(s, k)
	}
	return c.endAnswer(s, k)
}

// open has a request served.
func (c *Conn) open(k *heading) error {
	l := &c.headers
	l.endRequest(k.end)
	h := &k.block.head
	c.mu.Lock()
	if err := c.checkUnread(); err != nil { // of RST_STREAMs of those that serve, for one
		c.unlock()
		return err
	}
	// Streams that the client has reset count until they are done with here.
	c.awaitOwners()
	if c.shutdown.final || c.streams.active >= c.options.MaxStreams || c.streams.held >= 2*c.options.MaxStreams {
		defer c.unlock()
		return c.refuse(k.id)
	}
	if !c.takesStream(k.block) {
		defer c.unlock()
		c.nio.Account.Budget().Refuse(overload.Stream)
		return c.refuse(k.id)
	}
	c.restore() // memory may have been short when content came last
	c.busy()
	c.meter.moved++
	c.streams.lastID, c.spare = k.id, c.newBlock()
	s := c.newStream()
	s.id, s.window, s.credit = k.id, c.flow.first, int64(c.options.StreamWindow)
	s.head = k.block
	s.count()
	s.asked.method = h.Method
	s.length = -1
	if h.Framing == message.ByLength {
		s.length = h.Length
	}
	s.remoteEnd = k.end
	s.opened = c.now
	c.streams.open[s.id] = s
	c.streams.active++
	if k.selfish {
		err := c.breakStream(s, ProtocolError, "sent a stream that depends on itself (RFC 7540 section 5.3.1)")
		c.recycle(s)
		c.unlock()
		return err
	}
	c.streams.held++
	if l.why != nil {
		s.length = -1
		s.refused, s.refusal = l.why, ProtocolError
		if l.why.Kind == fault.HeaderTooLarge || l.why.Kind == fault.URITooLong {
			s.refusal = NoError
		}
	}
	c.unlock()
	c.accept(s)
	return nil
}

// awaitOwners slows down a client that resets many streams: it waits until their owners
// have noticed, which takes them up to a recheck. The client has not opened more than it
// may, so it is not refused. The lock is held, but not during the wait.
func (c *Conn) awaitOwners() {
	if c.shutdown.final || c.streams.active >= c.options.MaxStreams || c.streams.held < 2*c.options.MaxStreams {
		return
	}
	timer := time.NewTimer(2 * recheck)
	defer timer.Stop()
	for late := false; !late && !c.shutdown.ended && c.streams.held >= 2*c.options.MaxStreams; {
		c.unlock()
		select {
		case <-c.streams.left:
		case <-timer.C:
			late = true
		}
		c.mu.Lock()
	}
}

// refuse refuses a stream that is one too many.
func (c *Conn) refuse(id uint32) error {
	c.streams.closed.add(id, resetHere)
	c.out.reset(id, RefusedStream)
	if err := c.reply(); err != nil {
		return err
	}
	return c.countLocked("streams beyond those that it may open")
}

// endTrailers gives a stream its trailers.
func (c *Conn) endTrailers(s *Stream, k *heading) error {
	l := &c.headers
	switch {
	case l.why != nil:
		return c.breakWith(s, ProtocolError, l.why)
	case !k.end:
		return c.breakStream(s, ProtocolError, "sent HEADERS within its content that do not end the stream (RFC 9113 section 8.1)")
	}
	l.endTrailers()
	s.trailers = k.block
	s.count()
	return c.endRemote(s)
}

// mostHeads is how many heads of responses to one request may wait to be read:
// interim responses are few.
const mostHeads = 16

// endAnswer gives a stream the head of a response.
func (c *Conn) endAnswer(s *Stream, k *heading) error {
	l := &c.headers
	l.endResponse(&s.asked, k.end)
	h := &k.block.head
	interim := h.Status < 200 && h.Framing != message.Tunnel
	switch {
	case l.why != nil:
		return c.breakWith(s, ProtocolError, l.why)
	case len(s.heads) == mostHeads:
		return c.breakStream(s, EnhanceYourCalm, "sent many interim responses at once")
	}
	s.heads = append(s.heads, k.block)
	s.count()
	s.reading.Signal()
	if interim {
		return c.countLocked("interim responses")
	}
	s.answered = true
	switch h.Framing {
	case message.NoBody:
		s.length = 0
	case message.ByLength:
		s.length = h.Length
	}
	if k.end {
		return c.endRemote(s)
	}
	return nil
}
