package http2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	frame "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/overload"
)

// reader is what belongs to the goroutine that reads.
type reader struct {
	greeted bool // the client's preface came
	settled bool // so did the peer's SETTINGS
	source  bytes.Reader
	framer  *frame.Framer // over source: one frame that is whole
	decoder *hpack.Decoder
	headers headerList // of the block that is being decoded
	heading heading    // the header block that is coming
	content content    // the frame of DATA that is coming
	spare   *block     // for the next request
	seenID  uint32     // a server's last stream from its client

	now       time.Duration // when the last wait ended
	heard     time.Duration // when bytes came last
	idleBy    time.Duration // when it is to be seen whether the connection is idle
	busyAt    time.Duration // when a header block came last
	restBy    time.Duration // when it is to be seen whether streams still come, 0 for never
	partialBy time.Duration // when what was begun must be whole, 0 where nothing was
	pinged    time.Duration // when a PING that is due to KeepAlive was sent, 0 if none is out
}

// header is a frame's.
type header struct {
	length int
	kind   frame.FrameType
	flags  frame.Flags
	id     uint32
}

func (h header) has(f frame.Flags) bool { return h.flags.Has(f) }

// breach is what the peer did for which the connection ends.
type breach struct {
	code Code
	why  *fault.Error
}

func (b *breach) Error() string { return b.why.Error() }

// breach returns the end of a connection whose peer broke a rule.
func (c *Conn) breach(code Code, did string) error {
	return &breach{code, c.blame(fault.ClientHTTP2, fault.UpstreamHTTP2, did+": the connection is closed with "+code.String())}
}

func (r *reader) init(c *Conn) {
	o := &c.options
	r.framer = frame.NewFramer(nil, &r.source)
	r.headers.limits, r.headers.name = o.Limits, o.Name
	r.decoder = hpack.NewDecoder(4096, r.headers.add)
	r.decoder.SetMaxStringLength(2 * o.Limits.HeadBytes)
	r.now = c.nio.Now()
	r.heard, r.idleBy = r.now, r.now+o.IdleTimeout
	if o.HeadTimeout > 0 {
		r.partialBy = r.now + o.HeadTimeout
	}
	c.streams.idleSince = r.now
}

// read reads frames until the connection ends. It returns an error where the
// socket made it.
func (c *Conn) read() error {
	for {
		if !c.takeFrames() {
			return nil
		}
		c.nio.Await(c.now, c.nextEnd())
		err := c.nio.Turns(c.arrived)
		c.now = c.nio.Now()
		switch {
		case err == nil:
			return nil
		case errors.Is(err, netio.ErrOverload): // a large frame
			c.nio.Account.Budget().Refuse(overload.Head)
			c.broken(&breach{EnhanceYourCalm, overloaded("for so large a frame as " + c.options.Name + " sent")})
			return nil
		case !errors.Is(err, netio.ErrTimeout):
			return err
		}
		if c.timedOut() {
			return nil
		}
	}
}

// arrived takes in what was received. It returns false when the connection is to
// end.
func (c *Conn) arrived() bool {
	c.now = c.nio.Now()
	c.heard, c.pinged = c.now, 0
	if !c.takeFrames() {
		return false
	}
	c.nio.Await(c.now, c.nextEnd())
	return true
}

// takeFrames takes in the frames that have arrived. It returns false when the
// connection is to end.
func (c *Conn) takeFrames() bool {
	frames := 0
	for {
		b := c.nio.Buffered()
		n, err := c.step(b)
		c.nio.Consume(n)
		if err != nil {
			c.broken(err)
			return false
		}
		if n == 0 {
			c.notePartial(len(b) > 0 || c.heading.open || !c.settled, frames > 0)
			return true
		}
		frames++
	}
}

// notePartial bounds the time for what has begun to come.
func (c *Conn) notePartial(partial, progress bool) {
	switch {
	case !partial:
		c.partialBy = 0
	case c.options.HeadTimeout == 0:
	case c.partialBy == 0, progress && !c.heading.open && c.settled:
		c.partialBy = c.now + c.options.HeadTimeout
	}
}

// broken ends the connection for a breach.
func (c *Conn) broken(err error) {
	c.mu.Lock()
	defer c.unlock()
	var b *breach
	if errors.As(err, &b) {
		c.end(b.code, b.why)
	}
}

// step takes in the next thing that is whole: a frame, or what there is of a
// DATA frame's payload. It returns its length, 0 where nothing is.
func (c *Conn) step(b []byte) (n int, err error) {
	if !c.greeted {
		return c.greet(b)
	}
	if c.content.left > 0 {
		return c.takeContent(b)
	}
	if !c.settled && !c.server {
		if did := spoken(b); did != "" {
			return 0, c.breach(ProtocolError, did+" for cluster "+c.options.Cluster)
		}
	}
	if len(b) < headerSize {
		return 0, nil
	}
	h := header{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]),
		kind:   frame.FrameType(b[3]),
		flags:  frame.Flags(b[4]),
		id:     binary.BigEndian.Uint32(b[5:]) & maxID,
	}
	if err := c.check(h); err != nil {
		return 0, err
	}
	if h.kind == frame.FrameData {
		return c.onData(h, b[headerSize:])
	}
	n = headerSize + h.length
	if len(b) < n {
		return 0, nil
	}
	switch payload := b[headerSize:n]; h.kind {
	case frame.FrameHeaders:
		err = c.onHeaders(h, payload)
	case frame.FrameContinuation:
		err = c.onContinuation(h, payload)
	default:
		err = c.onControl(h, b[:n])
	}
	return n, err
}

// spoken says that a server which answers to HTTP/2 with these bytes speaks something
// else, and what to set; "" if it does not. An alert of TLS (RFC 8446 section 5.1)
// would be a frame longer than any may be.
func spoken(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte("HTTP/")):
		return "speaks HTTP/1, but was sent HTTP/2: set protocol to http1"
	case bytes.HasPrefix(b, []byte{21, 3}):
		return "speaks TLS, but was sent plain text: set tls"
	}
	return ""
}

// greet expects the client's preface.
func (c *Conn) greet(b []byte) (n int, err error) {
	n = min(len(b), len(Preface))
	if string(b[:n]) != Preface[:n] {
		return 0, c.breach(ProtocolError, "sent something else than the preface of HTTP/2")
	}
	if n < len(Preface) {
		return 0, nil
	}
	c.greeted = true
	return n, nil
}

// check looks at what a frame's header alone can be wrong in.
func (c *Conn) check(h header) error {
	switch {
	case h.length > frameSize:
		return c.breach(FrameSizeError, "sent a frame of "+strconv.Itoa(h.length)+" bytes, and 16384 are the most (RFC 9113 section 4.2)")
	case !c.settled && (h.kind != frame.FrameSettings || h.has(frame.FlagSettingsAck)):
		return c.breach(ProtocolError, "did not send SETTINGS first (RFC 9113 section 3.4)")
	case c.heading.open && (h.kind != frame.FrameContinuation || h.id != c.heading.id):
		return c.breach(ProtocolError, "sent another frame within a header block (RFC 9113 section 4.3)")
	case !c.heading.open && h.kind == frame.FrameContinuation:
		return c.breach(ProtocolError, "sent CONTINUATION where no header block was open (RFC 9113 section 6.10)")
	case h.id == 0 && (h.kind == frame.FrameData || h.kind == frame.FrameHeaders):
		return c.breach(ProtocolError, "sent "+h.kind.String()+" without a stream (RFC 9113 section 6)")
	case h.kind == frame.FramePushPromise:
		return c.breach(ProtocolError, "sent PUSH_PROMISE, which was not allowed (RFC 9113 section 8.4)")
	}
	return nil
}

// idleStream reports whether a stream was never opened (RFC 9113 section 5.1).
func (c *Conn) idleStream(id uint32) bool {
	if c.server {
		return id%2 == 0 || id > c.seenID
	}
	return id%2 == 0 || id >= c.streams.nextID.Load()
}

// nextEnd is when the reader has something to do though no byte comes: 0 is
// never.
func (c *Conn) nextEnd() (by time.Duration) {
	o := &c.options
	sooner := func(at time.Duration) {
		if by == 0 || at < by {
			by = at
		}
	}
	if c.partialBy > 0 {
		sooner(c.partialBy)
	}
	if o.KeepAlive > 0 && c.pinged == 0 {
		sooner(c.heard + o.KeepAlive)
	}
	if o.KeepAliveTimeout > 0 && c.pinged > 0 {
		sooner(c.pinged + o.KeepAliveTimeout)
	}
	if o.IdleTimeout > 0 {
		sooner(c.idleBy)
	}
	if c.restBy > 0 {
		sooner(c.restBy)
	}
	return by
}

// timedOut is called when no byte came until nextEnd. It reports whether the
// connection is to end.
func (c *Conn) timedOut() bool {
	c.mu.Lock()
	defer c.unlock()
	o := &c.options
	switch {
	case c.shutdown.decided:
	case c.out.cut: // and the time to read what was there is up
		if c.shutdown.decided = true; c.streams.active > 0 {
			c.shutdown.why = c.blame(fault.ClientClosed, fault.UpstreamClosed, "closed the connection")
		}
	case c.partialBy > 0 && c.now >= c.partialBy:
		what, code := "what it had begun", EnhanceYourCalm
		if !c.settled {
			what, code = "its SETTINGS", SettingsTimeout
		}
		c.end(code, c.blame(fault.RequestTimeout, fault.UpstreamTimeout, "did not send "+what+" within "+o.HeadTimeout.String()))
	case o.KeepAliveTimeout > 0 && c.pinged > 0 && c.now >= c.pinged+o.KeepAliveTimeout:
		c.end(NoError, c.blame(fault.ClientUnresponsive, fault.UpstreamClosed, "did not answer a PING within "+o.KeepAliveTimeout.String()))
		c.out.cut = true // it can't be waited for
	case o.IdleTimeout > 0 && c.streams.active == 0 && c.now >= c.streams.idleSince+o.IdleTimeout:
		c.end(NoError, nil)
	default:
		c.postpone()
	}
	return c.shutdown.decided
}

// postpone sees to what is due short of an end.
func (c *Conn) postpone() {
	o := &c.options
	if o.KeepAlive > 0 && c.pinged == 0 && c.now >= c.heard+o.KeepAlive {
		c.pinged = c.now
		c.out.ping(0, keepAlivePing)
		c.out.wake()
	}
	if c.restBy > 0 && c.now >= c.restBy {
		c.settle()
	}
	if c.now >= c.idleBy {
		c.idleBy = c.now + o.IdleTimeout
		if c.streams.active == 0 {
			c.idleBy = c.streams.idleSince + o.IdleTimeout
		}
	}
}

// The payloads of this side's PINGs.
var (
	keepAlivePing = [8]byte{'a', 'l', 'i', 'v', 'e', '?'}
	drainPing     = [8]byte{'g', 'o', 'i', 'n', 'g'}
)
