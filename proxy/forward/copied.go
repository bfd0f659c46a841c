package forward

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/overload"
)

// tee is a request's content that is copied as it is read.
type tee struct {
	filter.Body
	to []*copied
}

// Whole is false: what has come whole would not be copied.
func (t *tee) Whole() ([]byte, bool) { return nil, false }

// Next returns the next piece, which the copies have then, too.
func (t *tee) Next() ([]byte, error) {
	piece, err := t.Body.Next()
	for _, c := range t.to {
		switch {
		case err == nil:
			c.add(piece)
		case errors.Is(err, io.EOF):
			c.end(t.Body.Trailers())
		case !errors.Is(err, filter.ErrStopped):
			c.fail(err)
		}
	}
	return piece, err
}

// stop is called when the request has ended. Content that was not read by then is read no
// more.
func (t *tee) stop(x *filter.Exchange) {
	x.Body = t.Body
	for _, c := range t.to {
		c.fail(fault.New(fault.ClientClosed, "the request that it is a copy of ended before all of its content was read"))
	}
}

// copied is the content of a copy: what has been read for the request itself, and not been
// sent yet. Whoever reads the request's content never waits for it.
type copied struct {
	most    int               // bytes that it may be behind
	account *overload.Account // nil counts nothing

	mu       sync.Mutex // guards what follows
	moved    sync.Cond  // on mu: one of them changed
	waiting  []byte     // what Next has not returned yet
	given    []byte     // what it returned last
	came     int64      // how many bytes came in all
	held     int        // what the account has of both
	read     bool       // Next was called
	ended    bool
	trailers *message.Head
	err      error // why nothing more comes
	stopped  bool
	closed   bool
}

func newCopied(most int) *copied {
	c := &copied{most: most}
	c.moved.L = &c.mu
	return c
}

// add takes a piece, unless the copy is too far behind.
func (c *copied) add(piece []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(piece) == 0 || c.err != nil || c.closed:
		return
	case len(c.given)+len(c.waiting)+len(piece) > c.most:
		c.lose(fault.New(fault.Overflow, fmt.Sprintf("its endpoint takes the content too slowly: more than %d bytes wait for it, see max_behind of the mirror", c.most)))
		return
	case c.short():
		c.lose(noMemory())
		return
	}
	c.waiting = append(c.waiting, piece...)
	c.came += int64(len(piece))
	c.count()
	c.moved.Broadcast()
}

// short reports whether memory begins to be short. Copies are the first to go: at this level
// clients get smaller windows, and beyond it they would be refused for what copies hold.
func (c *copied) short() bool { return c.account != nil && c.account.Level() >= overload.Shrink }

func noMemory() error {
	return fault.New(fault.Overload, "there is no memory for what its endpoint has yet to take of the content; see overload.max_memory_bytes")
}

// lose gives the content up.
func (c *copied) lose(err error) {
	c.err, c.waiting = err, nil
	c.count()
	c.moved.Broadcast()
}

// count counts what is held.
func (c *copied) count() {
	if held := cap(c.waiting) + cap(c.given); c.account != nil && held != c.held {
		c.account.Take(held - c.held)
		c.held = held
	}
}

// end notes that no more comes.
func (c *copied) end(trailers *message.Head) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.err != nil {
		return
	}
	if trailers != nil {
		c.trailers = trailers.Detach()
	}
	c.ended = true
	c.moved.Broadcast()
}

// fail notes why no more comes, unless all has come.
func (c *copied) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended && c.err == nil {
		c.lose(err)
	}
}

// why is why no more comes; nil if it comes, or all has come.
func (c *copied) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// lost reports whether no more comes. Whoever waits for the endpoint asks now and then: so one
// that holds content gives it up when memory is short.
func (c *copied) lost() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil && !c.closed && c.held > 0 && c.short() {
		c.lose(noMemory())
	}
	return c.err != nil
}

// close forgets what is left, and returns how many bytes came.
func (c *copied) close() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed, c.waiting, c.given = true, nil, nil
	c.count()
	return c.came
}

// Whole and the methods that follow implement [filter.Body].
func (c *copied) Whole() ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting, c.ended && c.err == nil && c.trailers == nil && !c.read
}

// Next waits for the next piece.
func (c *copied) Next() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.given, c.read = c.given[:0], true
	for {
		switch {
		case c.err != nil:
			return nil, c.err
		case len(c.waiting) > 0:
			c.given, c.waiting = c.waiting, c.given
			return c.given, nil
		case c.ended:
			return nil, io.EOF
		case c.stopped:
			return nil, filter.ErrStopped
		}
		c.moved.Wait()
	}
}

// Complete reports whether all of it is here.
func (c *copied) Complete() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// Trailers are those of the request.
func (c *copied) Trailers() *message.Head {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trailers
}

// Stop has a Next that waits return.
func (c *copied) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	c.moved.Broadcast()
}

// Resume lets Next wait again.
func (c *copied) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = false
}
