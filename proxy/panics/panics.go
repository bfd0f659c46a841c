package panics

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// Limit is how many panics within a [Window] are too many: the proxy then says that it
// is not ready.
const (
	Limit  = 10
	Window = time.Minute
)

// quiet is how long no further stack is written after one: a panic with each request
// must not flood the log.
const quiet = 10 * time.Second

// Counter counts panics. Its methods may be called from any goroutine, and on nil, which
// counts nothing.
type Counter struct {
	log  *slog.Logger
	note func(text string)

	mu     sync.Mutex
	total  uint64
	last   [Limit + 1]time.Time // when they were, the oldest at total%len
	logged time.Time
}

// New returns a counter that writes stacks to a log, and calls note, if it is not nil, with
// a sentence for each panic whose stack it writes.
func New(log *slog.Logger, note func(text string)) *Counter { return &Counter{log: log, note: note} }

// Caught counts the panic p and writes its stack, unless it did so a moment ago. It is
// to be called within the deferred function that recovered. during is what was being
// done, and trace the request's, "" for none.
func (c *Counter) Caught(p any, during, trace string) {
	if c == nil {
		return
	}
	now := time.Now()
	c.mu.Lock()
	c.last[c.total%uint64(len(c.last))] = now
	c.total++
	total, tell := c.total, now.Sub(c.logged) >= quiet
	if tell {
		c.logged = now
	}
	c.mu.Unlock()
	if tell {
		c.log.Error("the proxy panicked; it goes on, but has a defect: please report it", "during", during,
			"panic", fmt.Sprint(p), "trace_id", trace, "total", total, "stack", string(debug.Stack()))
		if c.note != nil {
			c.note(fmt.Sprintf("the proxy panicked during %s: it has a defect", during))
		}
	}
}

// Total is how many panics there were.
func (c *Counter) Total() uint64 {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

// TooMany reports whether there were more than [Limit] within the [Window] before now.
func (c *Counter) TooMany(now time.Time) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	oldest := c.last[c.total%uint64(len(c.last))]
	return !oldest.IsZero() && now.Sub(oldest) < Window
}
