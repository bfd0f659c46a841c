package http2

import (
	"net"
	"sync"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/netio"
)

const never = int64(1<<63 - 1)

// recheck is how often a waiting read asks the function of [Stream.Watch].
const recheck = 250 * time.Millisecond

// Await sets when later reads give up: at deadline, on the clock of netio.Shared; 0 is
// never. Writing a request's head gives up then, too. The first argument is unused: it
// makes Await the same as [netio.Conn.Await].
func (s *Stream) Await(_, deadline time.Duration) {
	by := int64(deadline)
	if by == 0 {
		by = never
	}
	s.deadline.Store(by)
}

// Limit ends every wait, reading or writing, present or later, at the given time on the
// clock of netio.Shared; 0 lifts it. Any goroutine may call it.
func (s *Stream) Limit(at time.Duration) {
	by := int64(at)
	if by == 0 {
		by = never
	}
	s.limit.Store(by)
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.reading.Signal() // they see to the timer themselves
	s.writing.Signal()
}

// Watch has a waiting read call gone about four times a second. When gone reports true, the
// read ends with [netio.ErrGone]. Watch(nil) ends that.
func (s *Stream) Watch(gone func() bool) { s.watch = gone }

// Stop makes the read that waits, and those after it, return [netio.ErrTimeout]. Nothing
// that was received is lost. Stop(false) lets them wait again. Any goroutine may call it.
func (s *Stream) Stop(stopped bool) {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.stopped = stopped
	s.reading.Signal()
}

// waitRead waits for something to read; asked is when Watch's func is asked
// next, 0 at first. It may return without reason.
func (s *Stream) waitRead(ask *time.Duration) error {
	c := s.conn
	now := c.nio.Now()
	by := min(s.deadline.Load(), s.limit.Load())
	if int64(now) >= by {
		return netio.ErrTimeout
	}
	if s.watch != nil {
		switch {
		case *ask == 0:
			*ask = now + recheck
		case now >= *ask:
			*ask = now + recheck
			gone := s.watch
			c.mu.Unlock() // it may look at other streams
			left := gone()
			c.mu.Lock()
			if left {
				return netio.ErrGone
			}
			return nil // something may have come meanwhile
		}
		by = min(by, int64(*ask))
	}
	s.sleep(&s.reading, now, by)
	return nil
}

// SetWriteIdle sets how long a write may wait for the peer's window; 0 is for ever.
func (s *Stream) SetWriteIdle(t time.Duration) {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.writeIdle = t
}

// waitWrite waits for room to write; idle is when it has waited too long without
// any, 0 at first. It may return without reason.
func (s *Stream) waitWrite(idle *time.Duration) error {
	now := s.conn.nio.Now()
	by := s.limit.Load()
	if s.id == 0 { // a request's head: nothing is read before it has gone out
		by = min(by, s.deadline.Load())
	}
	if s.writeIdle > 0 {
		if *idle == 0 {
			*idle = now + s.writeIdle
		}
		by = min(by, int64(*idle))
	}
	if int64(now) >= by {
		return netio.ErrTimeout
	}
	s.sleep(&s.writing, now, by)
	s.blocked += s.conn.nio.Now() - now
	return nil
}

// TakeBlocked returns how long writes have waited for room since it was called last: for the
// peer's window, or for the connection to take more. Only the writer may call it.
func (s *Stream) TakeBlocked() time.Duration {
	d := s.blocked
	s.blocked = 0
	return d
}

// sleep waits for cond, until by at the latest. It costs no timer as long as the
// stream's need not fire earlier than it was going to.
func (s *Stream) sleep(cond *sync.Cond, now time.Duration, by int64) {
	if by < s.armed {
		s.armed = by
		in := time.Duration(by) - now
		if s.timer == nil {
			s.timer = time.AfterFunc(in, s.onTimer)
		} else {
			s.timer.Reset(in)
		}
	}
	cond.Wait()
}

// onTimer wakes both waits; each looks whether its own time is up.
func (s *Stream) onTimer() {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.armed = never
	s.reading.Signal()
	s.writing.Signal()
}

func (s *Stream) stopTimer() {
	if s.timer != nil {
		s.timer.Stop()
	}
}

// resetHere is the error of what waits for a stream that this side has reset.
func (c *Conn) resetHere(code Code) *fault.Error {
	kind := fault.UpstreamClosed
	if c.server {
		kind = fault.ClientClosed
	}
	return fault.Wrap(kind, "the stream of "+c.options.Name+" was reset here ("+code.String()+")", net.ErrClosed)
}
