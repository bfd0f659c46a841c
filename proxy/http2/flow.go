package http2

// flow is flow control (RFC 9113 section 5.2) of the connection. A stream sends where
// its own window, the connection's, and the buffer have room. Streams that lack only
// what they share stand in a queue, and the first of it sends a frame.
type flow struct {
	window int64     // what may be sent on the connection
	first  int64     // what a new stream may send
	queue  []*Stream // those that wait to send

	credit int64 // what the peer may send on the connection
	ahead  int64 // content that was received and not read yet
}

// take returns how much of n bytes s may send now, which is taken from both windows. room
// is how much the buffer has. 0 is none: s is in the queue then.
func (f *flow) take(s *Stream, n, room int) int {
	most := min(f.window, int64(room))
	if most <= 0 || len(f.queue) > 0 && f.queue[0] != s {
		if !s.queued {
			s.queued = true
			f.queue = append(f.queue, s)
		}
		return 0
	}
	n = min(n, frameSize, int(min(most, s.window)))
	f.window -= int64(n)
	s.window -= int64(n)
	return n
}

// remove takes s, which is queued, out of the queue.
func (f *flow) remove(s *Stream) {
	s.queued = false
	for i, other := range f.queue {
		if other == s {
			f.queue = append(f.queue[:i], f.queue[i+1:]...)
			return
		}
	}
}

// refill returns how much more the peer may be let send, of a window of such a width:
// 0 where that is not worth a frame.
func (f *flow) refill(width int64) int64 {
	n := width - f.credit
	if width < connWindow {
		n -= f.ahead
	}
	if n <= 0 || n < width/2 {
		return 0
	}
	f.credit += n
	return n
}

// share is how much of n bytes s may send now: 0 is none, and then it waits to
// be told.
func (c *Conn) share(s *Stream, n int) int {
	if s.window > 0 {
		if n = c.flow.take(s, n, c.unsentRoom()); n == 0 {
			return 0
		}
	} else {
		n = 0
	}
	c.leave(s)
	return n
}

// unsentRoom is how much more content the connection's buffer may hold.
func (c *Conn) unsentRoom() int { return c.maxUnsent() - len(c.out.buf) }

// leave takes s out of the queue, if it is in there.
func (c *Conn) leave(s *Stream) {
	if s.queued {
		c.flow.remove(s)
		c.signalQueue()
	}
}

// signalQueue tells the first of the queue to try, if there is room for it.
func (c *Conn) signalQueue() {
	if f := &c.flow; len(f.queue) > 0 && f.window > 0 && c.unsentRoom() > 0 {
		f.queue[0].writing.Signal()
	}
}

// widen adds to the window of a stream, or of the connection where s is nil. It
// reports whether that is more than a window can be.
func (c *Conn) widen(s *Stream, n int64) (tooWide bool) {
	if s == nil {
		c.flow.window += n
		c.signalQueue()
		return c.flow.window > maxWindow
	}
	s.window += n
	if s.window > 0 {
		s.writing.Signal()
	}
	return s.window > maxWindow
}

// setFirst changes what a new stream may send, and with it the windows of those
// that are open, which may become negative (RFC 9113 section 6.9.2).
func (c *Conn) setFirst(n int64) (tooWide bool) {
	by := n - c.flow.first
	c.flow.first = n
	for _, s := range c.streams.open {
		tooWide = c.widen(s, by) || tooWide
	}
	return tooWide
}
