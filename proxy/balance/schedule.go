package balance

import (
	"math"
	"math/bits"
	"slices"
	"sync/atomic"
)

// schedule is smooth weighted round robin without a lock: the order of one cycle is
// laid out beforehand, and an atomic counter walks it. Whole weights whose cycle is
// short are held exactly by each cycle. Other weights give a host the whole part of
// its turns in each cycle, and the cycle's remaining slots are shared: a shared slot
// goes from cycle to cycle to the hosts in proportion to what they lack. So each
// cycle is right to one turn a host, and all of them together are exact.
type schedule struct {
	next  atomic.Uint64
	slots []uint32  // positions, or shared plus the number of the shared slot
	lacks []float64 // by position, the sum of what it and those before it lack
}

const (
	shared = 1 << 31
	// A host of average weight has slotsEach turns a cycle where weights are not
	// whole; a cycle of whole weights may be as long, or have wholeCycle turns.
	slotsEach   = 4
	wholeCycle  = 4096
	leastCycle  = 1024
	goldenRatio = 0x9E3779B97F4A7C15 // of 2^64
)

// newSchedule lays out the cycle and begins at a place that the seed says.
func newSchedule(weights []float64, seed uint64) *schedule {
	size, scale := cycle(weights)
	counts := make([]int, len(weights)+1)
	lacks := make([]float64, len(weights))
	rest, lack := size, 0.0
	for i, w := range weights {
		whole, part := math.Modf(w * scale)
		if part > 1-1e-9 { // a whole number but for rounding
			whole, part = whole+1, 0
		} else if part < 1e-9 {
			part = 0
		}
		counts[i] = min(int(whole), rest)
		rest -= counts[i]
		lack += part
		lacks[i] = lack
	}
	counts[len(weights)] = rest // the shared slots are a host of their own
	s := &schedule{slots: spread(counts, size)}
	if rest > 0 {
		s.lacks = lacks
	}
	s.next.Store(seed >> 1)
	return s
}

// cycle is how many turns a cycle has, and by what a weight becomes its turns.
func cycle(weights []float64) (size int, scale float64) {
	sum, divisor := 0.0, uint64(0)
	whole := true
	for _, w := range weights {
		sum += w
		if whole = whole && w == math.Trunc(w) && w < 1<<53; whole {
			divisor = gcd(uint64(w), divisor)
		}
	}
	if whole && sum/float64(divisor) <= float64(max(wholeCycle, slotsEach*len(weights))) {
		return int(sum / float64(divisor)), 1 / float64(divisor)
	}
	size = max(leastCycle, slotsEach*len(weights))
	return size, float64(size) / sum
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// spread gives each position its count of slots, as far from each other as can be:
// the k-th of c at (k+1/2)/c of the cycle. The last position is the shared slots'.
func spread(counts []int, size int) []uint32 {
	starts := make([]int, size+1) // a counting sort by place
	place := func(k, c int) int { return int((float64(k) + 0.5) / float64(c) * float64(size)) }
	for _, c := range counts {
		for k := range c {
			starts[place(k, c)+1]++
		}
	}
	for i := range size {
		starts[i+1] += starts[i]
	}
	slots := make([]uint32, size)
	for i, c := range counts {
		for k := range c {
			p := place(k, c)
			slots[starts[p]] = uint32(i)
			if i == len(counts)-1 {
				slots[starts[p]] = shared + uint32(k)
			}
			starts[p]++
		}
	}
	return slots
}

// pick returns the position whose turn it is.
func (s *schedule) pick() int {
	turn := s.next.Add(1) - 1
	round, at := turn/uint64(len(s.slots)), turn%uint64(len(s.slots))
	slot := s.slots[at]
	if slot < shared {
		return int(slot)
	}
	return s.lacking(int(slot-shared), round)
}

// lacking is who has the k-th shared slot in that round. The slots lie one apart on
// the line of what hosts lack and shift by the golden ratio each round, so that a
// host has none or one of them each round, and in the long run what it lacks.
func (s *schedule) lacking(k int, round uint64) int {
	shift, _ := bits.Mul64(round*goldenRatio, 1<<53)
	at := float64(k) + float64(shift)/(1<<53)
	i, _ := slices.BinarySearchFunc(s.lacks, at, func(upTo, at float64) int {
		if upTo <= at {
			return -1
		}
		return 1
	})
	return min(i, len(s.lacks)-1) // what all lack may be short of a whole number by rounding
}
