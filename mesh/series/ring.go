package series

import (
	"slices"
	"sync"
	"time"
)

const (
	// Window is how long a window is, and Windows how many are kept: an hour.
	Window  = 15 * time.Second
	Windows = 240
	// maxRing is how many bytes a ring has: room for some 400 services, edges and routes, or
	// 200 whose requests take very different times.
	maxRing = 4 << 20
)

// Kind is what a key is of.
type Kind byte

// The kinds, with what First and Second of a key are.
const (
	Edge   Kind = iota // the direction, and the callee
	Route              // the method, and the route
	Blamed             // the service at fault, and who met it there
)

// Key is what is counted.
type Key struct {
	Kind          Kind
	First, Second string
}

// Count is what was counted of a key since the start. Durations may be shorter than there
// are ranges.
type Count struct {
	Requests, Failed, Slow uint64
	Durations              []uint64
}

// Ring keeps what was counted in each window of the last hour, in at most 4 MiB. Use [New].
// Its methods are safe for concurrent use.
type Ring struct {
	mu    sync.Mutex
	lines map[Key]*line
	size  int
	full  bool // there was no room for something
}

// line is what is kept of a key.
type line struct {
	before Count
	last   int64 // the window in which something was counted last
	cells  [Windows]cell
}

// cell is what was counted in a window.
type cell struct {
	window                 uint32 // since 1970; the cell is empty if it is another one
	requests, failed, slow uint32
	durations              []uint32
}

const (
	cellSize = 40
	lineSize = Windows*cellSize + 512 // with what was counted before
)

// New returns an empty ring.
func New() *Ring { return &Ring{lines: map[Key]*line{}} }

// number is that of the window that an instant is in.
func number(t time.Time) int64 { return t.UnixNano() / int64(Window) }

// Add notes what was counted until now, at the end of a window or shortly after it.
func (r *Ring) Add(now time.Time, counts map[Key]*Count) {
	ended := number(now) - 1
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, l := range r.lines {
		if l.last <= ended-Windows {
			r.forget(key, l)
		}
	}
	for key, c := range counts {
		l := r.lines[key]
		if l == nil {
			if c.Requests == 0 && c.Failed == 0 {
				continue
			}
			if r.size+lineSize > maxRing {
				r.full = true
				continue
			}
			l = &line{}
			r.lines[key] = l
			r.size += lineSize
		}
		r.add(l, ended, c)
	}
}

// add puts what is new into the cell of a window.
func (r *Ring) add(l *line, window int64, c *Count) {
	if c.Requests < l.before.Requests || c.Failed < l.before.Failed {
		l.before = Count{} // it began anew
	}
	requests, failed, slow := c.Requests-l.before.Requests, c.Failed-l.before.Failed, c.Slow-min(l.before.Slow, c.Slow)
	if requests > 0 || failed > 0 {
		l.last = window
		to := &l.cells[window%Windows]
		if to.window != uint32(window) {
			r.size -= 4 * len(to.durations)
			*to = cell{window: uint32(window)}
		}
		to.requests, to.failed, to.slow = to.requests+small(requests), to.failed+small(failed), to.slow+small(slow)
		r.durations(to, c.Durations, l.before.Durations)
	}
	l.before = Count{c.Requests, c.Failed, c.Slow, append(l.before.Durations[:0], c.Durations...)}
}

func (r *Ring) durations(to *cell, now, before []uint64) {
	n := 0 // without zeros at the end
	for i := range now {
		if now[i] > at(before, i) {
			n = i + 1
		}
	}
	if more := 4 * (n - len(to.durations)); more > 0 {
		if r.size+more > maxRing {
			r.full = true
			return
		}
		r.size += more
		to.durations = append(make([]uint32, 0, n), to.durations...)[:n]
	}
	for i := range n {
		to.durations[i] += small(now[i] - min(at(before, i), now[i]))
	}
}

func at(all []uint64, i int) uint64 {
	if i < len(all) {
		return all[i]
	}
	return 0
}

// small is n as far as there is room.
func small(n uint64) uint32 { return uint32(min(n, 1<<31)) }

func (r *Ring) forget(key Key, l *line) {
	r.size -= lineSize
	for i := range l.cells {
		r.size -= 4 * len(l.cells[i].durations)
	}
	delete(r.lines, key)
}

// Last returns the end of the window in which something was counted of a key last; zero if
// that is not known.
func (r *Ring) Last(key Key) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.lines[key]; l != nil && l.last > 0 {
		return time.Unix(0, (l.last+1)*int64(Window)).UTC()
	}
	return time.Time{}
}

// Part returns the counts of the last windows up to until.
func (r *Ring) Part(until time.Time, windows int) *Part {
	windows = min(max(windows, 0), Windows)
	p := &Part{Until: until.Truncate(Window).UTC(), Windows: windows}
	first := number(p.Until) - int64(windows)
	r.mu.Lock()
	defer r.mu.Unlock()
	p.Full = r.full
	for key, l := range r.lines {
		if l.last < first {
			continue
		}
		one := l.line(first, windows)
		switch key.Kind {
		case Edge:
			one.Direction, one.Callee = key.First, key.Second
			p.Edges = append(p.Edges, one)
		case Route:
			one.Method, one.Route = key.First, key.Second
			p.Routes = append(p.Routes, one)
		case Blamed:
			one.Callee, one.Caller = key.First, key.Second
			p.Blamed = append(p.Blamed, one)
		}
	}
	return p
}

func (l *line) line(first int64, windows int) (one Line) {
	one.Requests, one.Failed, one.Slow = make([]uint32, windows), make([]uint32, windows), make([]uint32, windows)
	one.Durations = make([][]uint32, windows)
	for i := range windows {
		c := &l.cells[(first+int64(i))%Windows]
		one.Durations[i] = []uint32{}
		if c.window == uint32(first+int64(i)) {
			one.Requests[i], one.Failed[i], one.Slow[i] = c.requests, c.failed, c.slow
			one.Durations[i] = append(one.Durations[i], c.durations...)
		}
	}
	return one
}

// Spread adds n requests and some failures that fell evenly into a time to the windows that
// end at the part's end. What fell beyond them is left out.
func (p *Part) Spread(to *Line, start, end time.Time, requests, failed uint64) {
	if to.Requests == nil {
		to.Requests, to.Failed = make([]uint32, p.Windows), make([]uint32, p.Windows)
	}
	length := end.Sub(start)
	if length <= 0 {
		return
	}
	given, givenFailed := uint64(0), uint64(0)
	first := number(p.Until) - int64(p.Windows)
	for w := number(start); w <= number(end); w++ {
		passed := min(time.Unix(0, (w+1)*int64(Window)).Sub(start), length)
		share := float64(passed) / float64(length)
		n, f := uint64(share*float64(requests)+0.5), uint64(share*float64(failed)+0.5)
		if i := w - first; i >= 0 && i < int64(p.Windows) {
			to.Requests[i] += small(n - given)
			to.Failed[i] += small(f - givenFailed)
		}
		given, givenFailed = n, f
	}
}

// empty reports whether nothing was counted.
func (l *Line) empty() bool {
	none := func(n uint32) bool { return n != 0 }
	return !slices.ContainsFunc(l.Requests, none) && !slices.ContainsFunc(l.Failed, none)
}
