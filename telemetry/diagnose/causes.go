package diagnose

import (
	"strings"
	"sync"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Causes remembers failures of this process's outbound hops by their trace. When the
// application then answers with an error, the inbound hop can say that the failure was
// made farther upstream, and by whom. It holds a fixed number of failures and drops the
// oldest first. Only failures use it. It is safe for concurrent use.
type Causes struct {
	mu      sync.Mutex
	byTrace map[hop.TraceID]int // index into ring
	ring    []cause
	next    int
}

type cause struct {
	trace   hop.TraceID
	at      time.Time
	failure hop.Failure
}

// maxCauseText bounds the texts of a remembered failure, in bytes.
const maxCauseText = 512

// NewCauses returns a table for size failures, at least 1. A full table of 1,024 takes
// about half a megabyte.
func NewCauses(size int) *Causes {
	size = max(size, 1)
	return &Causes{byTrace: make(map[hop.TraceID]int, size), ring: make([]cause, size)}
}

// Note remembers f, seen at now, for the trace. If a trace has several failures, the
// latest counts: the failure that an application did not recover from is usually the last
// thing that it tried.
func (c *Causes) Note(trace hop.TraceID, f hop.Failure, now time.Time) {
	if trace.IsZero() {
		return
	}
	f.Hop, f.Reason = keep(f.Hop), keep(f.Reason)
	c.mu.Lock()
	defer c.mu.Unlock()
	i, known := c.byTrace[trace]
	if !known {
		i = c.next
		c.next = (c.next + 1) % len(c.ring)
		if old := c.ring[i].trace; !old.IsZero() {
			delete(c.byTrace, old)
		}
		c.byTrace[trace] = i
	}
	c.ring[i] = cause{trace, now, f}
}

// Find returns the failure that was noted for the trace at since or later. Pass the start
// of the inbound hop: an earlier failure can't be the reason, for example if a trace goes
// through a service more than once.
func (c *Causes) Find(trace hop.TraceID, since time.Time) (hop.Failure, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, known := c.byTrace[trace]
	if !known || c.ring[i].at.Before(since) {
		return hop.Failure{}, false
	}
	return c.ring[i].failure, true
}

// keep returns a copy of s that keeps nothing else in memory.
func keep(s string) string { return strings.Clone(s[:min(len(s), maxCauseText)]) }
