package pins

import (
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// overhead is about how many bytes are needed for a hop besides the hop itself.
const overhead = 160

// maxSpare is the size of the largest hop whose storage is used again.
const maxSpare = 4 << 10

// recent are the hops of the last seconds that are not exported, the oldest first.
type recent struct {
	maxBytes, bytes int
	first, last     *entry
	traces          map[hop.TraceID]chain
	spare           *entry // a list, by next
}

// entry is a hop. It is in the order of all, and of those of its trace until it is taken.
type entry struct {
	hop       hop.Hop
	end       time.Time
	size      int // 0 after it was taken
	next      *entry
	nextOther *entry // of the trace
}

// chain is the hops of a trace, the oldest first.
type chain struct{ first, last *entry }

// add keeps a copy of the hop, in place of those that ended before an instant.
func (r *recent) add(h *hop.Hop, end, before time.Time) {
	size := h.Size() + overhead
	if size > r.maxBytes {
		return
	}
	for r.first != nil && (r.bytes+size > r.maxBytes || r.first.end.Before(before)) {
		r.drop()
	}
	e := r.spare
	if e == nil {
		e = new(entry)
	} else {
		r.spare, e.next = e.next, nil
	}
	h.CloneTo(&e.hop)
	e.end, e.size = end, size
	r.bytes += size
	if r.last == nil {
		r.first = e
	} else {
		r.last.next = e
	}
	r.last = e
	c := r.traces[h.Trace]
	if c.last == nil {
		c.first = e
	} else {
		c.last.nextOther = e
	}
	c.last = e
	r.traces[h.Trace] = c
}

// drop forgets the oldest hop.
func (r *recent) drop() {
	e := r.first
	if r.first = e.next; r.first == nil {
		r.last = nil
	}
	if e.size > 0 { // the oldest of its trace, then
		c := r.traces[e.hop.Trace]
		if c.first = e.nextOther; c.first == nil {
			delete(r.traces, e.hop.Trace)
		} else {
			r.traces[e.hop.Trace] = c
		}
	}
	large := e.size > maxSpare
	r.bytes -= e.size
	e.size, e.nextOther, e.next = 0, nil, nil
	if !large {
		e.next, r.spare = r.spare, e
	}
}

// take calls show with each hop of the trace, which is then forgotten.
func (r *recent) take(trace hop.TraceID, show func(*hop.Hop)) {
	c, ok := r.traces[trace]
	if !ok {
		return
	}
	delete(r.traces, trace)
	for e := c.first; e != nil; {
		next := e.nextOther
		show(&e.hop)
		r.bytes -= e.size
		e.size, e.nextOther = 0, nil
		e = next
	}
}
