package active

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// buckets is how many locks the table has, a power of two.
const buckets = 512

// farthest is how many hops of a bucket a search looks at. Clients choose trace ids, so
// they can fill a bucket; nobody then waits for a search that is long.
const farthest = 256

// Table has the hops under way. The zero value is ready. All its methods may be called from
// any goroutine, and none waits for anything but a lock that is held for a moment.
type Table struct{ buckets [buckets]bucket }

// bucket has the hops of some traces.
type bucket struct {
	mu    sync.Mutex
	first *Entry
	_     [48]byte // a cache line for each
}

func (t *Table) bucket(trace hop.TraceID) *bucket {
	return &t.buckets[(uint(trace[14])<<8|uint(trace[15]))%buckets]
}

// Entry is the place of a hop in a table. The zero value is in no table; its methods then
// do nothing.
type Entry struct {
	_    [0]atomic.Uint64 // aligns wait on every platform
	wait uint64           // what the hop waits for, and above that since when; atomic but in Enter

	in         *bucket // nil for none; of the goroutine that enters and leaves
	next, prev *Entry  // guarded by the bucket's lock, as is all that follows but wait

	hop        *hop.Hop // of which nothing is read that changes while it is under way
	kind       hop.Kind
	path, host []byte // of the Hop
	to         any
	tries      int
	attempt    hop.SpanID // the latest
	endpoint   string     // its address
	limits     Limits

	caller Caller // of the goroutine that enters
}

// Caller is the inbound hop that an outbound one is for, as it was when that one entered.
// The zero value is that it is not known. It has no pointers, so that it is cheap to clear.
type Caller struct {
	Span hop.SpanID
	// Used is how long it had been under way. Left is what was left of its time, if that is
	// Limited.
	Used, Left time.Duration
	Limited    bool
	// Exact is true if the outbound hop names an attempt of it as its parent. Else it is one
	// of the same trace.
	Exact bool
}

// Caller returns the inbound hop that the outbound one is for, as long as that one is in the
// table. It is for the goroutine that entered it.
func (e *Entry) Caller() Caller { return e.caller }

// Limits are when the time of a hop is over, from its start; 0 is never, or not known yet.
type Limits struct {
	// Whole is for all of the response, Begin for its beginning.
	Whole, Begin time.Duration
}

// by is when the time is over of a hop whose response has begun, or not.
func (l Limits) by(begun bool) time.Duration {
	if begun || l.Begin == 0 || l.Whole > 0 && l.Whole < l.Begin {
		return l.Whole
	}
	return l.Begin
}

// Enter puts the hop into the table. Its route is known, and its identity, method, path and
// host do not change any more. It has to leave before it is recorded. span and endpoint are
// those of its first attempt, which waits for a connection; both are zero if it has not
// begun. to is where the request goes, for the caller's own use.
//
// For an outbound hop, Enter finds the inbound hop of the same trace that it is for: the
// one with an attempt that is its parent. If there is none, since the application has made
// spans of its own, it is the one with the most time left. ok is false if no inbound hop
// bounds it. by is when nobody will take the response any more, from the start of the
// outbound hop: because the time of the inbound hop is over then. It may have passed.
func (t *Table) Enter(e *Entry, h *hop.Hop, limits Limits, to any, span hop.SpanID, endpoint string) (by time.Duration, ok bool) {
	b := t.bucket(h.Trace)
	e.hop, e.kind, e.path, e.host = h, h.Kind, h.Bytes(h.Path), h.Bytes(h.Host)
	e.to, e.tries, e.attempt, e.endpoint, e.limits = to, 0, span, endpoint, limits
	// Nobody else sees the entry yet. A plain write is cheaper.
	e.wait = pack(Route, h.Routed)
	if endpoint != "" {
		e.tries, e.wait = 1, pack(Connection, h.Routed)
	}
	e.in, e.caller = b, Caller{}
	b.mu.Lock()
	if h.Labels.Direction == hop.Outbound && b.first != nil {
		if in, over := b.caller(h); in != nil {
			by, ok = over, over != forever
			e.caller = Caller{in.hop.Span, h.Start.Sub(in.hop.Start), by, ok, in.attempt == h.Parent && !h.Parent.IsZero()}
		}
	}
	if e.next = b.first; e.next != nil {
		e.next.prev = e
	}
	b.first = e
	b.mu.Unlock()
	return by, ok
}

// caller finds the inbound hop that an outbound one is for, nil for none. over is when its
// time is over, from the start of the outbound one.
func (b *bucket) caller(out *hop.Hop) (found *Entry, over time.Duration) {
	n := 0
	for in := b.first; in != nil; in = in.next {
		if n++; n > farthest {
			return nil, 0
		}
		if in.hop.Trace != out.Trace || in.hop.Labels.Direction != hop.Inbound || in.kind != hop.KindRequest {
			continue
		}
		at := forever
		if by := in.limits.by(in.begun()); by > 0 {
			at = in.hop.Start.Add(by).Sub(out.Start)
		}
		if in.attempt == out.Parent && !out.Parent.IsZero() {
			return in, at
		}
		if found == nil || at > over {
			found, over = in, at
		}
	}
	return found, over
}

const forever time.Duration = 1<<63 - 1

// Leave takes the hop out of the table. What Enter was given may be reused after.
func (e *Entry) Leave() {
	b := e.in
	if b == nil {
		return
	}
	b.mu.Lock()
	if e.next != nil {
		e.next.prev = e.prev
	}
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		b.first = e.next
	}
	e.next, e.prev, e.hop, e.path, e.host, e.to = nil, nil, nil, nil, nil, nil
	b.mu.Unlock()
	e.in, e.caller = nil, Caller{}
}

// Try notes that another attempt begins, at the given time from the hop's start: it waits for a
// connection.
func (e *Entry) Try(span hop.SpanID, endpoint string, at time.Duration) {
	b := e.in
	if b == nil {
		return
	}
	b.mu.Lock()
	e.tries++
	e.attempt, e.endpoint = span, endpoint
	b.mu.Unlock()
	e.Wait(Connection, at)
}

// Limit notes when the hop's time is over, where that was not known when it entered.
func (e *Entry) Limit(l Limits) {
	if b := e.in; b != nil {
		b.mu.Lock()
		e.limits = l
		b.mu.Unlock()
	}
}
