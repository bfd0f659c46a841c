package http2

import (
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"syscall"
	"time"

	frame "golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/fault"
)

const headerSize = 9

const (
	// keptBuffer is up to how large a buffer is kept for what is sent next, and
	// idleBuffer the same where no stream is open.
	keptBuffer = 2 * maxUnsent
	idleBuffer = 16 << 10
)

// wake has the writer send what was appended.
func (c *Conn) wake() {
	select {
	case c.dirty <- struct{}{}:
	default:
	}
}

// write sends what the streams append. Woken, it lets every stream that is ready
// run first, so that all that they append goes out in one call.
func (c *Conn) write() {
	defer close(c.written)
	var b []byte
	for range c.dirty {
		runtime.Gosched()
		closing := false
		b, closing = c.swap(b)
		if len(b) > 0 {
			if err := c.nio.Write(b); err != nil {
				c.stuck(err)
			}
			b = c.trim(b)
		}
		if closing {
			return
		}
	}
}

// swap takes the buffer, and leaves the one that was sent. closing tells that
// nothing comes after it.
func (c *Conn) swap(sent []byte) (b []byte, closing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, c.out = c.out, sent[:0]
	c.spent = cap(b)
	c.countOut()
	c.gen++
	c.replies = 0
	if c.cut {
		b = b[:0]
	}
	c.nextInTurn()
	for _, s := range c.crowd {
		s.writing.Signal()
	}
	clear(c.crowd)
	c.crowd = c.crowd[:0]
	return b, c.closing
}

// trim gives up buffers that have grown large, and both where the connection is
// idle, which is to cost little.
func (c *Conn) trim(sent []byte) []byte {
	if cap(sent) > keptBuffer {
		sent = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() {
		c.spent = cap(sent)
		c.countOut()
	}()
	if c.active > 0 || len(c.out) > 0 {
		return sent
	}
	c.rest()
	if cap(c.out) > idleBuffer {
		c.out = nil
	}
	if cap(sent) > idleBuffer {
		sent = nil
	}
	return sent
}

// stuck ends what can't go on when nothing can be sent any more. What was
// received before is still read, if the peer has closed.
func (c *Conn) stuck(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut, c.wasReset = true, errors.Is(err, syscall.ECONNRESET)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.end(NoError, c.blame(fault.ClientClosed, fault.UpstreamClosed, "took none of what was sent to it for "+c.options.StreamIdle.String()))
		return
	}
	for _, s := range c.streams {
		s.writing.Signal()
	}
	if !c.told {
		c.nio.Limit(c.nio.Now() + time.Second)
	}
}

// blame makes a fault of what the peer did.
func (c *Conn) blame(server, client fault.Kind, did string) *fault.Error {
	kind := client
	if c.server {
		kind = server
	}
	return fault.New(kind, c.options.Name+" "+did)
}

// reply notes that a frame was appended that answers one of the peer's. It
// reports whether there are more of them than a peer can leave unread.
func (c *Conn) reply() (tooMany bool) {
	c.replies++
	return c.replies > c.options.Floods.Replies
}

// appendBlock appends a header block to what is sent, in frames.
func (c *Conn) appendBlock(s *Stream, block []byte, end bool) {
	c.moved++
	s.frame, s.gen = len(c.out), c.gen
	if c.zeroTable {
		// It would not do to have it within the block that was encoded: that is
		// done without the lock.
		c.zeroTable = false
		block = append([]byte{tableSizeZero}, block...)
	}
	kind, flags := frame.FrameHeaders, frame.Flags(0)
	if end {
		flags = frame.FlagHeadersEndStream
	}
	for {
		n := min(len(block), frameSize)
		if n == len(block) {
			flags |= frame.FlagHeadersEndHeaders
		}
		c.out = append(appendHeader(c.out, n, kind, flags, s.id), block[:n]...)
		if block = block[n:]; len(block) == 0 {
			c.countOut()
			return
		}
		kind, flags = frame.FrameContinuation, 0
	}
}

// appendData appends a frame of content.
func (c *Conn) appendData(s *Stream, piece []byte, flags frame.Flags) {
	c.moved++
	s.frame, s.gen = len(c.out), c.gen
	c.out = append(appendHeader(c.out, len(piece), frame.FrameData, flags, s.id), piece...)
	c.countOut()
}

// appendSettings appends this side's settings, and what widens the window of the
// connection.
func (c *Conn) appendSettings(dst []byte) []byte {
	o := &c.options
	settings := []frame.Setting{
		{ID: frame.SettingInitialWindowSize, Val: uint32(o.StreamWindow)},
		{ID: frame.SettingMaxHeaderListSize, Val: uint32(o.Limits.HeadBytes)},
	}
	if c.server {
		settings = append(settings,
			frame.Setting{ID: frame.SettingMaxConcurrentStreams, Val: uint32(o.MaxStreams)},
			frame.Setting{ID: frame.SettingEnableConnectProtocol, Val: 1})
	} else {
		settings = append(settings, frame.Setting{ID: frame.SettingEnablePush, Val: 0})
	}
	dst = appendHeader(dst, 6*len(settings), frame.FrameSettings, 0, 0)
	for _, s := range settings {
		dst = binary.BigEndian.AppendUint16(dst, uint16(s.ID))
		dst = binary.BigEndian.AppendUint32(dst, s.Val)
	}
	if c.credit == firstWindow {
		return dst
	}
	return appendWindowUpdate(dst, 0, uint32(c.credit-firstWindow))
}

func appendHeader(dst []byte, n int, kind frame.FrameType, flags frame.Flags, id uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, byte(n>>16), byte(n>>8), byte(n), byte(kind), byte(flags)), id)
}

func appendWindowUpdate(dst []byte, id, n uint32) []byte {
	return binary.BigEndian.AppendUint32(appendHeader(dst, 4, frame.FrameWindowUpdate, 0, id), n)
}

func appendReset(dst []byte, id uint32, code Code) []byte {
	return binary.BigEndian.AppendUint32(appendHeader(dst, 4, frame.FrameRSTStream, 0, id), uint32(code))
}

func appendGoAway(dst []byte, last uint32, code Code) []byte {
	dst = binary.BigEndian.AppendUint32(appendHeader(dst, 8, frame.FrameGoAway, 0, 0), last)
	return binary.BigEndian.AppendUint32(dst, uint32(code))
}

func appendPing(dst []byte, flags frame.Flags, data [8]byte) []byte {
	return append(appendHeader(dst, 8, frame.FramePing, flags, 0), data[:]...)
}
