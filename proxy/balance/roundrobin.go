package balance

import "sync/atomic"

// RoundRobin picks one endpoint after the other. The zero value begins with
// the first. It is safe for concurrent use.
type RoundRobin struct{ next atomic.Uint64 }

// Pick returns the index of the next of n endpoints, -1 if there are none.
func (r *RoundRobin) Pick(n int) int {
	switch n {
	case 0:
		return -1
	case 1:
		return 0
	}
	return int((r.next.Add(1) - 1) % uint64(n))
}
