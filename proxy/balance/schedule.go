package balance

import (
	"math"
	"math/bits"
	"slices"
	"sync/atomic"
)

// schedule is smooth weighted round robin without a lock. The order of one cycle is laid
// out in advance, and an atomic counter walks it. If whole weights make a short cycle,
// each cycle is exact. With other weights a host gets the whole part of its turns in each
// cycle, and the remaining slots are shared: from cycle to cycle they go to different
// hosts, in proportion to what the hosts lack. So each cycle is exact to one turn for
// each host, and in the long run all are exact.
type schedule struct {
	next  atomic.Uint64
	slots []uint32  // positions, or shared plus the number of the shared slot
	lacks []float64 // by position, the sum of what it and those before it lack
}

const (
	shared = 1 << 31
	// With weights that are not whole, a host of average weight has slotsEach turns a
	// cycle. A cycle of whole weights may be that long, or have wholeCycle turns.
	slotsEach   = 4
	wholeCycle  = 4096
	leastCycle  = 1024
	goldenRatio = 0x9E3779B97F4A7C15 // of 2^64
)

// newSchedule lays out the cycle. The seed decides where it begins.
func newSchedule(weights []float64, seed uint64) *schedule {
	size, scale := cycle(weights)
	counts := make([]int, len(weights)+1)
	lacks := make([]float64, len(weights))
	rest, lack := size, 0.0
	for i, w := range weights {
		whole, part := math.Modf(w * scale)
		if part > 1-1e-9 { // a whole number, up to rounding
			whole, part = whole+1, 0
		} else if part < 1e-9 {
			part = 0
		}
		counts[i] = min(int(whole), rest)
		rest -= counts[i]
		lack += part
		lacks[i] = lack
	}
	counts[len(weights)] = rest // the shared slots count as one more host
	s := &schedule{slots: spread(counts, size)}
	if rest > 0 {
		s.lacks = lacks
	}
	s.next.Store(seed >> 1)
	return s
}

// cycle returns the number of turns in a cycle, and the factor from weight to turns.
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

// spread gives each position its count of slots, spaced evenly: the k-th of c at
// (k+1/2)/c of the cycle. The last position is for the shared slots.
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

// pick returns the next position.
func (s *schedule) pick() int {
	turn := s.next.Add(1) - 1
	round, at := turn/uint64(len(s.slots)), turn%uint64(len(s.slots))
	slot := s.slots[at]
	if slot < shared {
		return int(slot)
	}
	return s.lacking(int(slot-shared), round)
}

// lacking returns which host gets the k-th shared slot in a round. The slots lie one
// apart on the line of what hosts lack, and shift by the golden ratio each round. So a
// host gets none or one of them in each round, and what it lacks in the long run.
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
