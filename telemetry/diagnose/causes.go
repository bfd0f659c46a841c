package diagnose

import (
	"strings"
	"sync"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Causes remembers the failures of the outbound hops of this process by their
// trace, so that the inbound hop whose application then answers with an error
// can say that the failure was made farther on, and by whom. It holds a fixed
// number of failures, the oldest of which goes first, and is touched by
// failures only. It is safe for concurrent use.
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

// NewCauses returns a table of the given number of failures, at least 1; 1,024
// of them take about half a megabyte when full.
func NewCauses(size int) *Causes {
	size = max(size, 1)
	return &Causes{byTrace: make(map[hop.TraceID]int, size), ring: make([]cause, size)}
}

// Note remembers f, seen at now, for the trace. Of several failures in one
// trace the latest counts: what an application did not recover from is
// usually the last thing that it tried.
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

// Find returns the failure that was noted for the trace at since or later.
// Give it the start of the inbound hop: what failed before that can't be the
// reason for its failure, so a trace that goes through a service more than
// once does not mix them up.
func (c *Causes) Find(trace hop.TraceID, since time.Time) (hop.Failure, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, known := c.byTrace[trace]
	if !known || c.ring[i].at.Before(since) {
		return hop.Failure{}, false
	}
	return c.ring[i].failure, true
}

// keep is a copy of s that pins nothing else in memory.
func keep(s string) string { return strings.Clone(s[:min(len(s), maxCauseText)]) }
