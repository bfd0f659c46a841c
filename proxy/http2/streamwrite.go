package http2

import (
	"time"

	frame "golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
)

// WriteHead writes the head of a request, or of a response, interim or final. end says that
// nothing follows. Like every write it may be sent at once, and is sent by [Stream.Flush].
func (s *Stream) WriteHead(h *message.Head, end bool) error {
	c := s.conn
	if c.server {
		s.encoded = appendResponse(s.encoded[:0], h)
	} else {
		s.encoded = appendRequest(s.encoded[:0], h, c.options.Scheme)
	}
	c.mu.Lock()
	defer c.unlock()
	if err := s.roomForHead(); err != nil {
		return err
	}
	if s.id == 0 {
		if err := c.begin(s, h); err != nil {
			return err
		}
	}
	c.appendBlock(s, s.encoded, end)
	if c.server {
		s.answered = h.Status >= 200 || h.Status == 101
		if !s.answered {
			s.generation = c.out.generation - 1 // END_STREAM is not for interim responses
		}
	}
	if end {
		s.endLocal()
	}
	return nil
}

// roomForHead waits until little enough is unsent, or returns why nothing can be written.
// Flow control does not cover heads: without this, those for a peer that asks and does not
// read would pile up.
func (s *Stream) roomForHead() error {
	c := s.conn
	var idle time.Duration
	for {
		if err := s.writable(); err != nil {
			return err
		}
		if len(c.out.buf) < withHeads*c.maxUnsent() {
			return nil
		}
		c.out.wake()
		c.out.crowd = append(c.out.crowd, s)
		if err := s.waitWrite(&idle); err != nil {
			return err
		}
	}
}

// begin gives a client's stream its identifier.
func (c *Conn) begin(s *Stream, h *message.Head) error {
	if c.shutdown.peerGone || c.streams.nextID.Load() > maxID {
		c.shutdown.going = true
		return c.blame(fault.ClientClosed, fault.UpstreamRefused, "takes no more streams on this connection")
	}
	if h.Upgrade && c.peer.maxStreams >= 0 && !c.peer.extendedConnect { // RFC 8441 section 3; a server that has said nothing yet will refuse it itself
		return fault.New(fault.UpstreamProtocol, c.options.Name+" does not take WebSockets, or other protocols, over HTTP/2 (RFC 8441): set the cluster's protocol to http1")
	}
	s.id = c.streams.nextID.Load()
	c.streams.nextID.Store(s.id + 2)
	s.window, s.credit = c.flow.first, int64(c.options.StreamWindow)
	s.asked.method = h.Method
	s.asked.protocol = s.asked.protocol[:0]
	if h.Upgrade {
		s.asked.protocol = append(s.asked.protocol, protocolOf(h)...)
	}
	c.streams.open[s.id] = s
	return nil
}

// writable returns why nothing can be written, or nil.
func (s *Stream) writable() error {
	c := s.conn
	switch {
	case s.err != nil:
		return s.err
	case c.shutdown.ended:
		return c.streamFault(s)
	case c.out.cut:
		return c.blame(fault.ClientClosed, fault.UpstreamClosed, "closed the connection")
	case s.localEnd || s.closed:
		return fault.New(fault.Internal, "a write to a stream that has ended")
	}
	return nil
}

// Write writes content. It waits for the peer's window, and for room in the connection's
// buffer. It copies piece.
func (s *Stream) Write(piece []byte) error {
	c := s.conn
	c.mu.Lock()
	defer c.unlock()
	var idle time.Duration
	for len(piece) > 0 {
		err := s.writable()
		n := 0
		if err == nil {
			n = c.share(s, len(piece))
		}
		if n > 0 {
			c.appendData(s, piece[:n], 0)
			piece, idle = piece[n:], 0
			continue
		}
		if err == nil {
			c.out.wake()
			err = s.waitWrite(&idle)
		}
		if err != nil {
			c.leave(s)
			return err
		}
	}
	return nil
}

// Offer writes as much of piece as the peer's window and the buffer take now, and returns
// how much that was. If that was all of it, Offer also ends the content, as End(nil) does.
func (s *Stream) Offer(piece []byte) (n int, err error) {
	c := s.conn
	c.mu.Lock()
	defer c.unlock()
	for n < len(piece) {
		if err := s.writable(); err != nil {
			c.leave(s)
			return n, err
		}
		most := c.share(s, len(piece)-n)
		if most == 0 {
			return n, nil
		}
		c.appendData(s, piece[n:n+most], 0)
		n += most
	}
	s.endData()
	return n, nil
}

// endData ends the stream with the last frame of content, or one of its own.
func (s *Stream) endData() {
	c := s.conn
	if !c.out.endLast(s) {
		c.appendData(s, nil, frame.FlagDataEndStream)
	}
	s.endLocal()
}

// End ends the content, with trailers, or without for nil.
func (s *Stream) End(trailers *message.Head) error {
	c := s.conn
	if trailers != nil {
		s.encoded = appendTrailers(s.encoded[:0], trailers)
	}
	c.mu.Lock()
	defer c.unlock()
	if err := s.roomForHead(); err != nil {
		return err
	}
	if trailers == nil || len(s.encoded) == 0 {
		s.endData()
		return nil
	}
	c.appendBlock(s, s.encoded, true)
	s.endLocal()
	return nil
}

// endLocal notes that this side of the stream has ended.
func (s *Stream) endLocal() {
	s.localEnd = true
	if s.remoteEnd {
		s.conn.closeStream(s, endedWhole)
	}
}

// Flush sends what was written.
func (s *Stream) Flush() { s.conn.out.wake() }
