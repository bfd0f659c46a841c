package guard

import "time"

// slots is into how many parts a window is divided, which leave it one by one.
const slots = 10

// window counts the requests of one side that ended lately.
type window struct {
	length time.Duration
	slots  [slots]slot
	total  counts // of the slots
}

// slot is a part of a window.
type slot struct {
	number int64 // of the part since the beginning of time
	counts
}

// counts are requests.
type counts struct {
	requests, failed uint64
	took             sketch
}

// number is the part of time that an instant is in.
func (w *window) number(at time.Time) int64 {
	return at.UnixNano() / max(int64(w.length)/slots, 1)
}

// turn forgets what is not in the window that ends at a time.
func (w *window) turn(at time.Time) {
	oldest := w.number(at) - slots + 1
	for i := range w.slots {
		s := &w.slots[i]
		if s.requests == 0 || s.number >= oldest {
			continue
		}
		w.total.requests -= s.requests
		w.total.failed -= s.failed
		w.total.took.subtract(&s.took)
		*s = slot{}
	}
}

// add counts a request that ended within the window, which turn has brought up to date.
func (w *window) add(at time.Time, r Result) {
	n := w.number(at)
	s := &w.slots[n%slots]
	s.number = n
	for _, c := range [...]*counts{&s.counts, &w.total} {
		c.requests++
		if r.Failed {
			c.failed++
		}
		c.took.observe(r.Took)
	}
}
