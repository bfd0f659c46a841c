package http2

import (
	"io"
	"time"

	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/netio"
)

// ReadHead waits for the next head of the response, interim or final. Only a client calls
// it. The head is good until the next call or [Stream.Close].
func (s *Stream) ReadHead(h *message.Head) error {
	c := s.conn
	c.mu.Lock()
	defer c.unlock()
	var ask time.Duration
	for {
		if len(s.heads) > 0 {
			c.keepBlock(s.head)
			s.head = s.heads[0]
			s.heads = append(s.heads[:0], s.heads[1:]...)
			*h, s.head.head = s.head.head, *h
			return nil
		}
		if err := s.readable(); err != nil {
			return err
		}
		if err := s.waitRead(&ask); err != nil {
			return err
		}
	}
}

// readable returns why it is of no use to wait, or nil.
func (s *Stream) readable() error {
	switch {
	case s.stopped:
		return netio.ErrTimeout
	case s.err != nil:
		return s.err
	}
	return nil
}

// Buffered returns the content that was received, and leaves it there. ended reports that
// no more follows.
func (s *Stream) Buffered() (content []byte, ended bool) {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return s.in, s.remoteEnd
}

// Read waits for the next piece of content, and returns [io.EOF] at the end. The piece is
// good until the next Read or TryRead, which lets the peer send as much again.
func (s *Stream) Read() ([]byte, error) {
	c := s.conn
	c.mu.Lock()
	defer c.unlock()
	s.giveBack()
	var ask time.Duration
	for {
		switch {
		case s.stopped:
			return nil, netio.ErrTimeout
		case len(s.in) > 0:
			return s.takeIn(), nil
		case s.remoteEnd:
			return nil, io.EOF
		case s.err != nil:
			return nil, s.err
		}
		if err := s.waitRead(&ask); err != nil {
			return nil, err
		}
	}
}

// TryRead is Read without waiting. An empty piece means that there is none yet, unless
// ended is true. ended comes with the last piece, or after it.
func (s *Stream) TryRead() (piece []byte, ended bool, err error) {
	c := s.conn
	c.mu.Lock()
	defer c.unlock()
	s.giveBack()
	switch {
	case len(s.in) > 0:
		return s.takeIn(), s.remoteEnd, nil
	case s.remoteEnd:
		return nil, true, nil
	case s.err != nil:
		return nil, false, s.err
	}
	return nil, false, nil
}

// takeIn swaps what was received for what was read before.
func (s *Stream) takeIn() []byte {
	s.in, s.piece = s.piece[:0], s.in
	s.conn.flow.ahead -= int64(len(s.piece))
	return s.piece
}

// giveBack lets the peer send as much again as was read, once that is worth a frame.
func (s *Stream) giveBack() {
	c := s.conn
	s.piece = s.piece[:0]
	c.restore()
	if s.remoteEnd || s.closed {
		return
	}
	width := s.width()
	if n := width - s.credit - int64(len(s.in)); n > 0 && n >= width/2 {
		c.out.windowUpdate(s.id, uint32(n))
		s.credit += n
		c.out.wake()
	}
}

// Trailers returns the trailers once the content has ended, nil if there are none. They are
// good until [Stream.Close].
func (s *Stream) Trailers() *message.Head {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if s.trailers == nil || !s.remoteEnd {
		return nil
	}
	return &s.trailers.head
}
