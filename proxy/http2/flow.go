package http2

// The windows of RFC 9113 section 5.2 toward the peer. A stream sends where its
// own window, the connection's, and the buffer have room. Those that lack only
// what they share stand in a queue and take turns, a frame each.

// share is how much of n bytes s may send now: 0 is none, and then it waits to
// be told.
func (c *Conn) share(s *Stream, n int) int {
	if s.window <= 0 {
		c.leave(s)
		return 0
	}
	first := len(c.queue) == 0 || c.queue[0] == s
	room := min(c.window, int64(c.maxUnsent()-len(c.out)))
	if !first || room <= 0 {
		if !s.queued {
			s.queued = true
			c.queue = append(c.queue, s)
		}
		return 0
	}
	n = min(n, frameSize, int(min(room, s.window)))
	c.window -= int64(n)
	s.window -= int64(n)
	c.leave(s)
	return n
}

// leave takes s out of the queue, if it is in there.
func (c *Conn) leave(s *Stream) {
	if !s.queued {
		return
	}
	s.queued = false
	for i, other := range c.queue {
		if other == s {
			c.queue = append(c.queue[:i], c.queue[i+1:]...)
			break
		}
	}
	c.nextInTurn()
}

// nextInTurn tells the first of the queue to try, if there is room for it.
func (c *Conn) nextInTurn() {
	if len(c.queue) > 0 && c.window > 0 && len(c.out) < c.maxUnsent() {
		c.queue[0].writing.Signal()
	}
}

// widen adds to the window of a stream, or of the connection where s is nil. It
// reports whether that is more than a window can be.
func (c *Conn) widen(s *Stream, n int64) (tooWide bool) {
	if s == nil {
		c.window += n
		c.nextInTurn()
		return c.window > maxWindow
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
	by := n - c.firstSend
	c.firstSend = n
	for _, s := range c.streams {
		tooWide = c.widen(s, by) || tooWide
	}
	return tooWide
}
