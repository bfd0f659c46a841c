package listener

import (
	"sync/atomic"
	"time"
)

// rest tells whether a connection waits for a request, and since when. It decides a race
// between a request and a dismissal: exactly one of them wins.
type rest struct{ state atomic.Int64 } // since when, or one below

const (
	atWork    = 0
	dismissed = -1
)

// begin notes that the connection is idle.
func (r *rest) begin(now time.Duration) { r.state.CompareAndSwap(atWork, max(int64(now), 1)) }

// end notes that the connection is busy. It reports true if the connection was dismissed
// before.
func (r *rest) end() bool { return r.state.Swap(atWork) == dismissed }

// since returns when the connection became idle, 0 if it is busy.
func (r *rest) since() time.Duration { return time.Duration(max(r.state.Load(), 0)) }

// dismiss notes that the connection is to end. It reports false if the connection is not
// idle.
func (r *rest) dismiss() bool {
	since := r.state.Load()
	return since > 0 && r.state.CompareAndSwap(since, dismissed)
}
