package active

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

const (
	// few is how many buckets are used first, a power of two. A request comes by two of
	// them, so they are best few enough to stay in the processor's cache.
	few = 32
	// room is how many hops such a bucket takes; others go to one of many buckets.
	room = 8
	many = 512
)

// farthest is how many hops of a bucket a search looks at. Clients choose trace ids, so
// they can fill a bucket; nobody then waits for a search that is long.
const farthest = 256

// Table has the hops under way. The zero value is ready. All its methods may be called from
// any goroutine, and none waits for anything but a lock that is held for a moment.
type Table struct {
	few     [few]bucket
	many    [many]bucket
	crowded atomic.Int64 // hops in many, or about to be
}

// bucket has the hops of some traces.
type bucket struct {
	mu    sync.Mutex
	first *Entry
	hops  int
	_     [40]byte // a cache line for each
}

func place(trace hop.TraceID) uint { return uint(trace[14])<<8 | uint(trace[15]) }

// ofTrace calls f for every bucket that may have hops of a trace, under the bucket's lock.
func (t *Table) ofTrace(trace hop.TraceID, f func(*bucket)) {
	at := place(trace)
	t.few[at%few].visit(f)
	if t.crowded.Load() > 0 {
		t.many[at%many].visit(f)
	}
}

func (b *bucket) visit(f func(*bucket)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(b)
}

// Entry is the place of a hop in a table. The zero value is in no table; its methods then
// do nothing.
type Entry struct {
	_    [0]atomic.Uint64 // aligns wait on every platform
	wait uint64           // what the hop waits for, and above that since when; atomic but in Enter

	in         *bucket       // nil for none; of the goroutine that enters and leaves
	crowd      *atomic.Int64 // where it is counted, nil for nowhere; of that goroutine, too
	next, prev *Entry        // guarded by the bucket's lock, as is all that follows but wait

	hop        *hop.Hop // of which nothing is read that changes while it is under way
	to         any
	path, host []byte // of the Hop
	kind       hop.Kind
	called     bool // caller is known; of the goroutine that enters, as that is
	tries      int
	attempt    hop.SpanID // the latest
	endpoint   string     // its address
	limits     Limits

	caller Caller
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
func (e *Entry) Caller() Caller {
	if e.in == nil || !e.called {
		return Caller{}
	}
	return e.caller
}

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
	e.hop, e.kind, e.path, e.host = h, h.Kind, h.Bytes(h.Path), h.Bytes(h.Host)
	e.to, e.tries, e.attempt, e.endpoint, e.limits = to, 0, span, endpoint, limits
	// Nobody else sees the entry yet. A plain write is cheaper.
	e.wait = pack(Route, h.Routed)
	if endpoint != "" {
		e.tries, e.wait = 1, pack(Connection, h.Routed)
	}
	e.called = false
	if h.Labels.Direction == hop.Outbound {
		e.caller, e.called = t.caller(h)
	}
	at := place(h.Trace)
	b := &t.few[at%few]
	b.mu.Lock()
	if b.hops >= room {
		b.mu.Unlock()
		b, e.crowd = &t.many[at%many], &t.crowded
		t.crowded.Add(1)
		b.mu.Lock()
	}
	e.in = b
	if e.next = b.first; e.next != nil {
		e.next.prev = e
	}
	b.first = e
	b.hops++
	b.mu.Unlock()
	if !e.called {
		return 0, false
	}
	return e.caller.Left, e.caller.Limited
}

// caller finds the inbound hop that an outbound one is for. ok is false if there is none, or
// if there are too many to look at.
func (t *Table) caller(out *hop.Hop) (in Caller, ok bool) {
	all := true
	t.ofTrace(out.Trace, func(b *bucket) { all = b.caller(out, &in, &ok) && all })
	if !all {
		return Caller{}, false
	}
	return in, ok
}

// caller looks for a better one than in, if that is ok. It returns false if there are too many
// to look at.
func (b *bucket) caller(out *hop.Hop, in *Caller, ok *bool) bool {
	n := 0
	for e := b.first; e != nil; e = e.next {
		if n++; n > farthest {
			return false
		}
		if e.hop.Trace != out.Trace || e.hop.Labels.Direction != hop.Inbound || e.kind != hop.KindRequest {
			continue
		}
		left := forever
		if by := e.limits.by(e.begun()); by > 0 {
			left = e.hop.Start.Add(by).Sub(out.Start)
		}
		exact := e.attempt == out.Parent && !out.Parent.IsZero()
		if !*ok || exact && !in.Exact || exact == in.Exact && left > in.Left {
			*in, *ok = Caller{e.hop.Span, out.Start.Sub(e.hop.Start), left, left != forever, exact}, true
		}
	}
	return true
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
	b.hops--
	b.mu.Unlock()
	if e.crowd != nil {
		e.crowd.Add(-1)
	}
	// What is left has no way into the table, and is overwritten when it enters again.
	e.in, e.crowd, e.next, e.prev, e.hop, e.to = nil, nil, nil, nil, nil, nil
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
