package bandwidth

import (
	"sync"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
)

// New returns the filter: at most so many bytes a second of requests, and of responses; 0 is
// no limit. All exchanges that pass through it share them.
func New(request, response int64) filter.Filter {
	in, out := newBucket(request), newBucket(response)
	return func(next filter.Handler) filter.Handler {
		return func(x *filter.Exchange) error {
			if out != nil {
				x.Writer = &slowed{Writer: x.Writer, x: x, bucket: out}
			}
			if in == nil || !x.Request.HasBody() {
				return next(x)
			}
			if whole, ok := x.Body.Whole(); !ok {
				x.Body = newContent(x, in)
			} else if err := wait(x, in, len(whole)); err != nil {
				return err
			}
			return next(x)
		}
	}
}

func newBucket(rate int64) *bucket {
	if rate == 0 {
		return nil
	}
	return &bucket{rate: float64(rate)}
}

// wait waits until n bytes may pass.
func wait(x *filter.Exchange, b *bucket, n int) error {
	if d := b.take(n, time.Now()); d > 0 {
		return x.Wait(d)
	}
	return nil
}

// slowed is a response that is slowed down.
type slowed struct {
	filter.Writer
	x      *filter.Exchange
	bucket *bucket
}

// mostAtOnce is how much passes at once, so that many responses get their turns.
const mostAtOnce = 16 << 10

// Content sends the piece as fast as it may go.
func (w *slowed) Content(piece []byte) error {
	for len(piece) > 0 {
		n := min(len(piece), mostAtOnce)
		if d := w.bucket.take(n, time.Now()); d > 0 {
			if err := w.Writer.Flush(); err != nil { // what may have gone already
				return err
			}
			if err := w.x.Wait(d); err != nil {
				return err
			}
		}
		if err := w.Writer.Content(piece[:n]); err != nil {
			return err
		}
		piece = piece[n:]
	}
	return nil
}

// content is the content of a request that is slowed down.
type content struct {
	filter.Body
	x      *filter.Exchange
	bucket *bucket
	// piece was read, and may pass at due; nil for none.
	piece []byte
	due   time.Time

	mu      sync.Mutex
	stopped chan struct{} // closed by Stop
}

func newContent(x *filter.Exchange, b *bucket) *content {
	return &content{Body: x.Body, x: x, bucket: b, stopped: make(chan struct{})}
}

// Whole is false: all of it may not pass at once.
func (c *content) Whole() ([]byte, bool) { return nil, false }

// Next waits for the next piece, and until it may pass.
func (c *content) Next() ([]byte, error) {
	if c.piece == nil {
		piece, err := c.Body.Next()
		if err != nil || len(piece) == 0 {
			return piece, err
		}
		now := time.Now()
		c.piece, c.due = piece, now.Add(c.bucket.take(len(piece), now))
	}
	if left := time.Until(c.due); left > 0 {
		timer := time.NewTimer(left)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.stops():
			return nil, filter.ErrStopped // the piece stays
		case <-c.x.Context.Done():
			return nil, fault.New(fault.Draining, "the proxy is shutting down")
		}
	}
	piece := c.piece
	c.piece = nil
	return piece, nil
}

func (c *content) stops() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopped
}

// Stop has a Next that waits return.
func (c *content) Stop() {
	c.Body.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.stopped:
	default:
		close(c.stopped)
	}
}

// Resume lets Next wait again.
func (c *content) Resume() {
	c.Body.Resume()
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.stopped:
		c.stopped = make(chan struct{})
	default:
	}
}
