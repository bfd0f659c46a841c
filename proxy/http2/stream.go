package http2

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
)

// Stream is one request and its response. Its methods block. They are for the goroutine
// that serves the request; one goroutine may read while another writes. Methods that any
// goroutine may call say so. Call none after [Stream.Close].
//
// Errors are fault.Errors, or those of package netio where a wait was ended.
type Stream struct {
	conn *Conn
	id   uint32

	// What follows is guarded by conn.mu, but for what is said to belong to a
	// goroutine.
	reading, writing sync.Cond

	head     *block   // a server's request, or the response that was read last
	heads    []*block // responses that were not read yet
	trailers *block
	asked    asked
	opened   time.Duration // when a server's was
	refused  *fault.Error  // why the request was
	refusal  Code          // and how the stream is reset for it
	answered bool          // the head of the final response has come, or was written

	in       []byte // content that was received
	piece    []byte // and what the reading goroutine has of it
	credit   int64  // what the peer may send
	holds    int    // what the connection's account has for the stream
	received int64  // content in all
	length   int64  // what it must come to, -1 where that is not known

	window     int64 // what may be sent
	writeIdle  time.Duration
	queued     bool
	frame      int    // where in conn.out.buf the last frame begins
	generation uint64 // if this is that of conn.out

	localEnd, remoteEnd bool // END_STREAM was sent, was received
	closed              bool // the stream has ended, whoever still holds it
	stopped             bool
	err                 *fault.Error // how it failed

	timer *time.Timer
	armed int64 // when it fires, at the latest

	deadline, limit atomic.Int64 // of Await and Limit, never for none

	watch   func() bool   // the reading goroutine's
	encoded []byte        // the writing goroutine's: header lists are encoded into it
	blocked time.Duration // the writing goroutine's: how long it has waited for room
	pipe    duplex
}

// newStream returns a stream to be opened.
func (c *Conn) newStream() *Stream {
	s := c.streams.takeFree()
	if s == nil {
		s = &Stream{conn: c, armed: never}
		s.reading.L, s.writing.L = &c.mu, &c.mu
	}
	s.deadline.Store(never)
	s.limit.Store(never)
	s.length = -1
	s.writeIdle = c.options.StreamIdle
	s.count()
	return s
}

// recycle keeps a stream that nobody holds any more.
func (c *Conn) recycle(s *Stream) {
	c.flow.ahead -= int64(len(s.in))
	c.keepBlock(s.head)
	c.keepBlock(s.trailers)
	for _, b := range s.heads {
		c.keepBlock(b)
	}
	clear(s.heads)
	s.head, s.trailers, s.heads = nil, nil, s.heads[:0]
	s.asked = asked{protocol: s.asked.protocol[:0]}
	s.refused, s.refusal, s.answered = nil, 0, false
	s.in, s.piece = kept(s.in), kept(s.piece)
	s.credit, s.received, s.window = 0, 0, 0
	s.frame, s.generation, s.id = 0, 0, 0
	s.localEnd, s.remoteEnd, s.closed, s.stopped = false, false, false, false
	s.err, s.watch, s.blocked = nil, nil, 0
	s.encoded = kept(s.encoded)
	s.pipe = duplex{}
	c.restore()
	if c.shutdown.ended || len(c.streams.free) >= keptStreams {
		s.stopTimer()
		s.drop()
		return
	}
	s.countKept()
	c.streams.free = append(c.streams.free, s)
	if c.streams.active == 0 && c.streams.held == 0 {
		c.idle()
	}
}

// kept is b, empty, unless it has grown large.
func kept(b []byte) []byte {
	if cap(b) > keptBytes {
		return nil
	}
	return b[:0]
}

// closeStream takes a stream out of the connection: nothing more is sent for it
// or received.
func (c *Conn) closeStream(s *Stream, how ending) {
	if s.closed {
		return
	}
	s.closed = true
	c.streams.remove(s, how)
	s.reading.Signal()
	s.writing.Signal()
	c.notice()
	if c.streams.active == 0 {
		c.streams.idleSince = c.nio.Now()
		c.endIfDone()
	}
}

// fail has what is done with s end with an error.
func (s *Stream) fail(why *fault.Error) {
	if s.err == nil {
		s.err = why
	}
	s.reading.Signal()
	s.writing.Signal()
}

// breakStream resets a stream for what the peer did with it.
func (c *Conn) breakStream(s *Stream, code Code, did string) error {
	return c.breakWith(s, code, c.blame(fault.ClientHTTP2, fault.UpstreamHTTP2, did+": the stream is reset with "+code.String()))
}

// breakWith is breakStream where the reason is made.
func (c *Conn) breakWith(s *Stream, code Code, why *fault.Error) error {
	s.fail(why)
	c.flow.ahead -= int64(len(s.in))
	s.remoteEnd, s.in = false, s.in[:0] // what came before counts for nothing
	c.reset(s, code)
	if err := c.checkUnread(); err != nil {
		return err
	}
	return c.countReset()
}

// reset sends RST_STREAM, if there is a stream to be reset.
func (c *Conn) reset(s *Stream, code Code) {
	if s.closed {
		return
	}
	if s.id != 0 && !c.shutdown.ended {
		c.out.reset(s.id, code)
		c.meter.replies++
		c.out.wake()
	}
	c.closeStream(s, resetHere)
}

// ID returns the stream's identifier. A client's stream has 0 until its head is written.
func (s *Stream) ID() uint32 { return s.id }

// TakeHead puts a server's request into h, and keeps h's storage in exchange. The head is
// good until [Stream.Close].
func (s *Stream) TakeHead(h *message.Head) { *h, s.head.head = s.head.head, *h }

// Refused returns what is wrong with the request, as a fault.Error, or nil. Whoever serves
// the stream still answers it; Close then resets it.
func (s *Stream) Refused() error {
	if s.refused == nil {
		return nil
	}
	return s.refused
}

// Gone reports whether the peer has reset the stream or the connection has ended. Any
// goroutine may call it.
func (s *Stream) Gone() bool {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return s.err != nil
}

// Err returns how the stream failed, as a fault.Error, or nil if it has not.
func (s *Stream) Err() error {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if s.err == nil {
		return nil
	}
	return s.err
}

// Reset sends RST_STREAM, and ends every wait on the stream. Any goroutine may call it.
func (s *Stream) Reset(code Code) {
	c := s.conn
	c.mu.Lock()
	defer c.unlock()
	if s.closed {
		return
	}
	s.fail(c.resetHere(code))
	c.reset(s, code)
}

// Close gives the stream up; it is the last call. A stream that has not ended is reset. A
// server that has answered, and needs no more of the request, resets it with NO_ERROR, else
// with INTERNAL_ERROR. A client resets it with CANCEL.
func (s *Stream) Close() {
	c := s.conn
	c.mu.Lock()
	defer c.unlock()
	code := Cancel
	switch {
	case c.server && s.localEnd:
		code = NoError
	case c.server:
		code = InternalError
	}
	if s.refusal != NoError && s.err == nil && !c.shutdown.ended {
		// It is malformed, which is to be told whether or not it was answered (RFC
		// 9113 section 8.1.1).
		c.out.reset(s.id, s.refusal)
		c.streams.closed.add(s.id, resetHere)
		c.closeStream(s, resetHere)
		c.out.wake()
	}
	c.reset(s, code)
	c.leave(s)
	if c.server {
		c.streams.held--
		select {
		case c.streams.left <- struct{}{}:
		default:
		}
	}
	c.recycle(s)
}
