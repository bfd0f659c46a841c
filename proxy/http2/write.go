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

// writer is the writing side of a connection: the buffer that streams append to, and the
// state of the goroutine that sends it.
type writer struct {
	buf        []byte // what is to be sent
	generation uint64 // how many times buf was taken
	counted    int    // what the buffers hold, as far as it was counted
	spent      int    // the size of the one that is being sent

	wakes     chan struct{}
	ended     chan struct{} // closed when nothing is sent any more
	closing   bool          // the end comes when what there is was sent
	cut       bool          // nothing goes out any more
	wasReset  bool          // the peer has reset the connection, which a read need not see then
	zeroTable bool          // the next header block begins with tableSizeZero
	crowd     []*Stream     // those that wait for room for a head
}

// wake has what was appended sent.
func (w *writer) wake() {
	select {
	case w.wakes <- struct{}{}:
	default:
	}
}

// take returns the buffer to be sent, and leaves the one that was sent before. Streams
// that wait for room for a head may try again.
func (w *writer) take(sent []byte) []byte {
	b := w.buf
	w.buf = sent[:0]
	w.spent = cap(b)
	w.generation++
	for _, s := range w.crowd {
		s.writing.Signal()
	}
	clear(w.crowd)
	w.crowd = w.crowd[:0]
	if w.cut {
		return b[:0]
	}
	return b
}

// write sends what the streams append. When woken it first lets every other ready goroutine
// run, so that what all streams append goes out in one call.
func (c *Conn) write() {
	defer close(c.out.ended)
	var b []byte
	for range c.out.wakes {
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

// swap returns the buffer to send, and puts the one that was sent in its place. closing
// reports that nothing follows.
func (c *Conn) swap(sent []byte) (b []byte, closing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b = c.out.take(sent)
	c.countOut()
	c.meter.replies = 0
	c.signalQueue()
	return b, c.out.closing
}

// trim drops buffers that have grown large. On an idle connection it drops both, so that it
// costs little.
func (c *Conn) trim(sent []byte) []byte {
	if cap(sent) > keptBuffer {
		sent = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() {
		c.out.spent = cap(sent)
		c.countOut()
	}()
	if c.streams.active > 0 || len(c.out.buf) > 0 {
		return sent
	}
	c.idle()
	if cap(c.out.buf) > idleBuffer {
		c.out.buf = nil
	}
	if cap(sent) > idleBuffer {
		sent = nil
	}
	return sent
}

// stuck ends what can't go on once nothing can be sent. If the peer has closed, what it
// sent before is still read.
func (c *Conn) stuck(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.cut, c.out.wasReset = true, errors.Is(err, syscall.ECONNRESET)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.end(NoError, c.blame(fault.ClientClosed, fault.UpstreamClosed, "took none of what was sent to it for "+c.options.StreamIdle.String()))
		return
	}
	for _, s := range c.streams.open {
		s.writing.Signal()
	}
	if !c.shutdown.decided {
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

// appendBlock appends a header block to what is sent, in frames.
func (c *Conn) appendBlock(s *Stream, block []byte, end bool) {
	c.meter.moved++
	c.out.headers(s, block, end)
	c.countOut()
}

// appendData appends a frame of content.
func (c *Conn) appendData(s *Stream, piece []byte, flags frame.Flags) {
	c.meter.moved++
	c.out.data(s, piece, flags)
	c.countOut()
}

func (w *writer) headers(s *Stream, block []byte, end bool) {
	s.frame, s.generation = len(w.buf), w.generation
	if w.zeroTable {
		// It would not do to have it within the block that was encoded: that is
		// done without the lock.
		w.zeroTable = false
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
		w.buf = append(appendHeader(w.buf, n, kind, flags, s.id), block[:n]...)
		if block = block[n:]; len(block) == 0 {
			return
		}
		kind, flags = frame.FrameContinuation, 0
	}
}

func (w *writer) data(s *Stream, piece []byte, flags frame.Flags) {
	s.frame, s.generation = len(w.buf), w.generation
	w.buf = append(appendHeader(w.buf, len(piece), frame.FrameData, flags, s.id), piece...)
}

// endLast marks the last frame of s as the end of its stream, if it is still in the
// buffer, and reports whether it is.
func (w *writer) endLast(s *Stream) bool {
	if s.generation != w.generation {
		return false
	}
	const flags = 4 // the place in a header
	w.buf[s.frame+flags] |= byte(frame.FlagDataEndStream)
	return true
}

func (w *writer) settingsAck() {
	w.buf = appendHeader(w.buf, 0, frame.FrameSettings, frame.FlagSettingsAck, 0)
}

func (w *writer) windowUpdate(id, n uint32) { w.buf = appendWindowUpdate(w.buf, id, n) }

func (w *writer) reset(id uint32, code Code) {
	w.buf = binary.BigEndian.AppendUint32(appendHeader(w.buf, 4, frame.FrameRSTStream, 0, id), uint32(code))
}

func (w *writer) goAway(last uint32, code Code) {
	w.buf = binary.BigEndian.AppendUint32(appendHeader(w.buf, 8, frame.FrameGoAway, 0, 0), last)
	w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(code))
}

func (w *writer) ping(flags frame.Flags, data [8]byte) {
	w.buf = append(appendHeader(w.buf, 8, frame.FramePing, flags, 0), data[:]...)
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
	if c.flow.credit == firstWindow {
		return dst
	}
	return appendWindowUpdate(dst, 0, uint32(c.flow.credit-firstWindow))
}

func appendHeader(dst []byte, n int, kind frame.FrameType, flags frame.Flags, id uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, byte(n>>16), byte(n>>8), byte(n), byte(kind), byte(flags)), id)
}

func appendWindowUpdate(dst []byte, id, n uint32) []byte {
	return binary.BigEndian.AppendUint32(appendHeader(dst, 4, frame.FrameWindowUpdate, 0, id), n)
}
