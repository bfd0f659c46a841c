package balance

import (
	"math"
	"sync"
)

// leastActive draws a few hosts at random and returns the one with the fewest requests in
// flight. The second draw never repeats the first; otherwise two hosts would share three
// to one.
func (c *candidates) leastActive(s *Set, random uint64) int {
	best := below(random, len(c.hosts))
	least := s.loads[c.hosts[best]].Active()
	first := best
	for k := 1; k < s.options.Choices; k++ {
		i := first + 1 + below(mix(random, uint64(k)), len(c.hosts)-1)
		if i >= len(c.hosts) {
			i -= len(c.hosts)
		}
		if n := s.loads[c.hosts[i]].Active(); n < least {
			best, least = i, n
		}
	}
	return int(c.hosts[best])
}

// deadlines is weighted round robin with weights that change at each pick. The host with
// the earliest deadline is next. Its new deadline is later by the inverse of its present
// weight, weight/(active+1)^bias. It is a heap under a lock, since the order can't be
// laid out in advance when weights follow the load.
type deadlines struct {
	mu   sync.Mutex
	heap []deadline
}

type deadline struct {
	at   float64
	host uint32
}

// newDeadlines starts each host at a random point of its first interval, so that
// proxies that start together do not all begin with the same hosts.
func newDeadlines(hosts []uint32, weights []float64, seed uint64) *deadlines {
	d := &deadlines{heap: make([]deadline, len(hosts))}
	for i, h := range hosts {
		start := float64(mix(seed, uint64(i))>>11) / (1 << 53)
		d.heap[i] = deadline{start / weights[i], h}
	}
	for i := len(d.heap)/2 - 1; i >= 0; i-- {
		d.sink(i)
	}
	return d
}

func (d *deadlines) pick(s *Set) int {
	d.mu.Lock()
	top := &d.heap[0]
	host := top.host
	top.at += math.Pow(float64(s.loads[host].Active()+1), s.options.Bias) / s.weights[host]
	d.sink(0)
	d.mu.Unlock()
	return int(host)
}

// sink moves the entry down to its place in the heap.
func (d *deadlines) sink(i int) {
	h := d.heap
	moving := h[i]
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1].at < h[child].at {
			child++
		}
		if h[child].at >= moving.at {
			break
		}
		h[i] = h[child]
		i = child
	}
	h[i] = moving
}
