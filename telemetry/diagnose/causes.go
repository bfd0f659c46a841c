package diagnose

import (
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Causes remembers failures of this process's outbound hops. When the application then
// answers with an error, the inbound hop can say that the failure was made farther
// upstream, and by whom. It holds a fixed number of failures and drops the oldest first.
// Only failures use it. It is safe for concurrent use.
type Causes struct {
	// Passes is set once an outbound request has come with a trace context: then the
	// application passes it on, and [Causes.Find] goes by it alone.
	Passes atomic.Bool

	began time.Time
	noted atomic.Int64 // when the latest failure was noted, from began

	mu      sync.Mutex
	byKey   map[causeKey]int // index into ring
	ring    []cause
	next    int
	lost    [32]lost
	nextOut int // index into lost
}

// causeKey is what failures are remembered by: the trace, and the inbound hop that the call
// was for, zero where that is not known.
type causeKey struct {
	trace   hop.TraceID
	request hop.SpanID
}

type cause struct {
	causeKey
	// latest is the latest failure. It is zero if there are only failures that services
	// farther on recovered from.
	latest sighting
	// longest is the failure that took the most time, those included. What the same
	// service took in several of them counts together.
	longest sighting
	// lacked says that the latest had too little time, since longest had used it up.
	lacked bool
}

// sighting is a failure, when it was noted, and how long the hop had taken by then.
type sighting struct {
	span    hop.SpanID
	at      time.Time
	took    time.Duration
	failure hop.Failure
}

// since reports whether the failure was noted after an instant, if there is one.
func (s *sighting) since(t time.Time) bool { return !s.at.IsZero() && !s.at.Before(t) }

// add takes another failure into account for the one that took the most time.
func (s *sighting) add(n sighting) {
	switch {
	case s.failure.Hop == n.failure.Hop && s.failure.Kind != KindNoTimeLeft && !s.at.IsZero():
		n.took += s.took
		*s = n
	case n.took > s.took || s.at.IsZero():
		*s = n
	}
}

// lost is a failure of an outbound request that came without a trace context.
type lost struct {
	service   string
	start, at time.Time
	among     int // how many requests the service was serving then
	failure   hop.Failure
}

// Cause is what explains how an inbound hop ends.
type Cause struct {
	hop.Failure
	// Took is how long the call took that failed.
	Took time.Duration
	// At is when it failed.
	At time.Time
	// Among is how many requests the call may have been for: 1 unless the application passes
	// no trace context on.
	Among int
}

// Call is what is known of a call that is noted.
type Call struct {
	// Request is the span of the inbound hop that the call was for, zero if that is not
	// known, and Since is when that began, as far as it is known.
	Request hop.SpanID
	Since   time.Time
	// Hurried is true if the inbound hop had not even half of the time left, when the call
	// began, that the call's own route allows.
	Hurried bool
	// Among is how many requests the service was serving, for a call that came without a
	// trace context.
	Among int
}

// maxCauseText bounds the texts of a remembered failure, in bytes.
const maxCauseText = 512

// NewCauses returns a table for size failures, at least 1. A full table of 1,024 takes
// about a megabyte.
func NewCauses(size int) *Causes {
	size = max(size, 1)
	c := &Causes{began: time.Now(), byKey: make(map[causeKey]int, size), ring: make([]cause, size)}
	c.noted.Store(math.MinInt64)
	return c
}

// Note remembers the failure of an outbound hop, as it is at now, or the one that the
// service behind it recovered from. If a trace has several failures, the latest counts: the
// failure that an application did not recover from is usually the last thing that it tried.
// But a call that had little time left, since an earlier one had used it up before it
// failed, is not at fault: then that one counts.
//
// The Call says what the proxy knows of it.
func (c *Causes) Note(h *hop.Hop, now time.Time, call Call) {
	if h.Trace.IsZero() {
		return
	}
	n := sighting{h.Span, now, now.Sub(h.Start), h.Failure}
	switch r := h.Recovered; {
	case r != nil:
		n.took, n.failure = r.Took, r.Failure
	case n.failure.Kind == KindNoTimeLeft && n.failure.Hop == h.Labels.Service && !call.Since.IsZero():
		n.took = now.Sub(call.Since) // the service itself is at fault
	}
	f := &n.failure
	for _, text := range []*string{&f.Hop, &f.Kind, &f.Caller, &f.Endpoint, &f.Reason} {
		*text = keep(*text)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noted.Store(max(c.noted.Load(), int64(now.Sub(c.began))))
	at := c.entry(causeKey{h.Trace, call.Request})
	if h.Recovered != nil {
		at.longest.add(n)
		return
	}
	if at.latest.at.IsZero() || at.latest.span != h.Span { // else it is noted again
		at.lacked = call.Hurried && WantedTime(n.failure.Kind) && at.longest.took > n.took && !at.longest.at.After(h.Start)
		at.longest.add(n)
	}
	at.latest = n
	if h.Parent.IsZero() {
		out := &c.lost[c.nextOut]
		if out.start != h.Start { // else it is noted again
			c.nextOut = (c.nextOut + 1) % len(c.lost)
			out = &c.lost[c.nextOut]
		}
		*out = lost{h.Labels.Service, h.Start, now, call.Among, n.failure}
	}
}

// entry returns the place of a key. The oldest makes room for it.
func (c *Causes) entry(key causeKey) *cause {
	i, known := c.byKey[key]
	if !known {
		i = c.next
		c.next = (c.next + 1) % len(c.ring)
		if old := c.ring[i].causeKey; !old.trace.IsZero() {
			delete(c.byKey, old)
		}
		c.byKey[key] = i
		c.ring[i] = cause{causeKey: key}
	}
	return &c.ring[i]
}

// of returns what was noted for an inbound hop: for the hop itself, or else for its trace
// since it started, of calls of which it is not known what they were for. An earlier failure
// can't be the reason, for example if a trace goes through a service more than once. It
// returns nil if there is nothing.
func (c *Causes) of(trace hop.TraceID, request hop.SpanID, since time.Time) *cause {
	for _, key := range [...]causeKey{{trace, request}, {trace: trace}} {
		if i, known := c.byKey[key]; known && (c.ring[i].latest.since(since) || c.ring[i].longest.since(since)) {
			return &c.ring[i]
		}
	}
	return nil
}

// Find returns the failure that explains an inbound hop that has not ended: the latest
// that was noted for it.
//
// An application that passes no trace context on begins a trace with each of its calls.
// Then the latest that failed while the inbound hop was under way is taken, and said to be
// inferred: for sure only if no other request was.
func (c *Causes) Find(h *hop.Hop) (cause Cause, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.of(h.Trace, h.Span, h.Start); at != nil && at.latest.since(h.Start) {
		found := &at.latest
		if at.lacked && at.longest.since(h.Start) {
			found = &at.longest
		}
		return Cause{found.failure, found.took, found.at, 1}, true
	}
	var latest *lost
	for i := range c.lost {
		l := &c.lost[i]
		if l.service == h.Labels.Service && !l.start.Before(h.Start) && (latest == nil || l.at.After(latest.at)) {
			latest = l
		}
	}
	if latest == nil || c.Passes.Load() {
		return Cause{}, false
	}
	return Cause{Lost(latest.failure, h.Labels.Service), latest.at.Sub(latest.start), latest.at, latest.among}, true
}

// Since reports whether any failure was noted since then. It costs next to nothing.
func (c *Causes) Since(t time.Time) bool { return c.noted.Load() >= int64(t.Sub(c.began)) }

// Longest returns the failure that took the most time since an inbound hop started, of those
// that were noted for it, those included that did not fail a request. request is the hop's
// span. The failure may be why others had no time left, and is to be blamed for nothing
// else.
func (c *Causes) Longest(trace hop.TraceID, request hop.SpanID, since time.Time) (cause Cause, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.of(trace, request, since)
	if at == nil || !at.longest.since(since) {
		return Cause{}, false
	}
	return Cause{at.longest.failure, at.longest.took, at.longest.at, 1}, true
}

// keep returns a copy of s that keeps nothing else in memory.
func keep(s string) string { return strings.Clone(s[:min(len(s), maxCauseText)]) }
