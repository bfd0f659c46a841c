package listener

import (
	"sync/atomic"
	"time"
)

// rest is whether a connection waits for its client to ask for something, and since
// when. Of a client's asking and of the connection's being dismissed, one comes first.
type rest struct{ state atomic.Int64 } // since when, or one below

const (
	atWork    = 0
	dismissed = -1
)

// begin notes that the connection is idle.
func (r *rest) begin(now time.Duration) { r.state.CompareAndSwap(atWork, max(int64(now), 1)) }

// end notes that it is not any more; it reports true if it was dismissed meanwhile.
func (r *rest) end() bool { return r.state.Swap(atWork) == dismissed }

// since is since when it is idle, 0 if it is not.
func (r *rest) since() time.Duration { return time.Duration(max(r.state.Load(), 0)) }

// dismiss notes that it is to end; false if it is not idle.
func (r *rest) dismiss() bool {
	since := r.state.Load()
	return since > 0 && r.state.CompareAndSwap(since, dismissed)
}
