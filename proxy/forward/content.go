package forward

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/overload"
)

// content is what follows the head of a request. It belongs to the request, not to
// an attempt: it is read from the client once, and each attempt sends it from its
// beginning.
type content struct {
	here []byte  // all of it, where source is nil
	from *source // where it still comes from, nil if all of it is here
}

// whole reports whether all of it was here when the request began.
func (c content) whole() bool { return c.from == nil }

// replayable reports whether a further attempt could send it from its beginning.
func (c content) replayable() bool { return c.from == nil || c.from.complete() }

// hold is replayable, and stops reading until the next attempt.
func (c content) hold() bool { return c.from == nil || c.from.hold() }

// ended is when the client had sent all of it, from the start of the Hop. ok is
// false as long as it has not.
func (c content) ended() (at time.Duration, ok bool) {
	if c.from == nil {
		return 0, true
	}
	c.from.mu.Lock()
	defer c.from.mu.Unlock()
	return c.from.arrived, c.from.arrived > 0
}

// pause waits a moment for the end. An endpoint may answer as the last byte arrives,
// before the upload has read that it was the last; and the request's time runs from
// there.
func (c content) pause() {
	if c.from == nil {
		return
	}
	select {
	case <-c.from.over:
	case <-time.After(lookEvery):
	}
}

// source is content that is read from the client while it is sent. What was read
// is kept for further attempts, up to a limit.
//
// It is read by one upload at a time; the exchange's goroutine may ask and hold it
// meanwhile.
type source struct {
	body    filter.Body
	account *overload.Account // of the client's connection, nil for none
	start   time.Time         // the Hop's
	most    int               // how much is kept, in bytes

	read int64  // bytes that were read; of the upload, while there is one
	kept []byte // and those, as long as they are not too many; likewise
	held int    // what the client's account has for kept; likewise

	over chan struct{} // closed when the end was read

	mu      sync.Mutex    // guards what follows
	dropped bool          // they were too many
	holding bool          // reading is paused
	end     bool          // the end was read
	arrived time.Duration // when all of it was known to be here, from start; 0 is not yet
}

// newSource is the content of a request that has not come whole, of which so many bytes
// are kept.
func newSource(x *filter.Exchange, most int) *source {
	return &source{body: x.Body, account: x.Conn.Info().Account, start: x.Hop.Start, most: most, over: make(chan struct{})}
}

// next waits for the next piece. It returns [io.EOF] after the last,
// [filter.ErrStopped] where no more is to be read for now, and a fault.Error where
// the client failed.
func (s *source) next() ([]byte, error) {
	piece, err := s.body.Next()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(err, io.EOF):
		s.end = true
		s.arrive()
		close(s.over)
		return nil, io.EOF
	case err != nil:
		return nil, err
	}
	s.read += int64(len(piece))
	switch {
	case s.holding:
		s.kept = append(s.kept, piece...)
		s.count()
		return nil, filter.ErrStopped
	case !s.dropped && len(s.kept)+len(piece) <= s.most && s.room(len(piece)):
		s.kept = append(s.kept, piece...)
	default:
		s.dropped, s.kept = true, nil
	}
	s.count()
	return piece, nil
}

// room reports whether there is memory to keep a piece in.
func (s *source) room(n int) bool {
	a := s.account
	return a == nil || len(s.kept)+n <= cap(s.kept) || a.Level() < overload.Streams
}

// count counts what is kept in the account of the client's connection.
func (s *source) count() {
	if a := s.account; a != nil && s.held != cap(s.kept) {
		a.Take(cap(s.kept) - s.held)
		s.held = cap(s.kept)
	}
}

// forget gives up what was kept. Nothing is read any more.
func (c content) forget() {
	if c.from != nil {
		c.from.kept = nil
		c.from.count()
	}
}

// arrive notes that all of the content is here. It is called under the lock.
func (s *source) arrive() {
	if s.arrived == 0 {
		s.arrived = max(time.Since(s.start), 1)
	}
}

// look reports whether all of the content has arrived, even if it was not read yet
// because the endpoint is slow to take what came before.
func (s *source) look() bool {
	if !s.body.Complete() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arrive()
	return true
}

// trailers are those of content that was read to its end.
func (s *source) trailers() *message.Head { return s.body.Trailers() }

// ended reports whether the end was read.
func (s *source) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end
}

// complete reports whether all that was read is kept.
func (s *source) complete() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.dropped
}

// hold is complete, and keeps it so: a piece that is being read is kept in any case.
func (s *source) hold() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holding = !s.dropped
	return s.holding
}

// resume lets an upload read on.
func (s *source) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holding = false
}

// uninvite drops Expect: 100-continue (RFC 9110 section 10.1.1), since the client was
// told to go on, or has sent content without waiting.
func uninvite(r *message.Head) {
	r.Remove(message.Expect)
	r.Expect = false
}

// cause is why the attempt failed with err: the client's failure if that was the reason,
// else err.
func (a *attempt) cause(err error) error {
	if err == nil {
		return nil
	}
	if fault.Of(err).Kind == fault.ClientClosed {
		if left := a.x.Conn.Left(); left != nil {
			return left
		}
	}
	if a.upload != nil {
		return a.upload.cause(err)
	}
	return err
}
