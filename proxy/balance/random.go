package balance

import (
	"math"
	"math/bits"
)

// mix derives independent random bits for a purpose (with the finaliser of SplitMix64).
func mix(random, purpose uint64) uint64 {
	x := random + purpose*0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// The purposes of random bits: each decision of a pick uses its own.
const (
	forPriority = iota + 1
	forZone
	forPolicy
	forSecond
	forRetry
)

// below returns a number from 0 to n-1, by Lemire's multiplication: the bias is n/2^64.
func below(random uint64, n int) int {
	hi, _ := bits.Mul64(random, uint64(n))
	return int(hi)
}

// alias draws positions in proportion to weights in constant time, by Vose's alias
// method: each column of equal width holds one position up to a height, and another one
// above it. Weights are exact to 2^-32.
type alias struct {
	height []uint32
	other  []uint32
}

func newAlias(weights []float64) *alias {
	n := len(weights)
	a := &alias{height: make([]uint32, n), other: make([]uint32, n)}
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	rest := make([]float64, n) // of a column's width, what its own position still needs
	var small, large []uint32
	for i, w := range weights {
		a.height[i], a.other[i] = math.MaxUint32, uint32(i)
		rest[i] = w / sum * float64(n)
		if rest[i] < 1 {
			small = append(small, uint32(i))
		} else {
			large = append(large, uint32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		a.height[s], a.other[s] = uint32(rest[s]*math.MaxUint32), l
		if rest[l] -= 1 - rest[s]; rest[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	return a
}

func (a *alias) pick(random uint64) int {
	column, at := bits.Mul64(random, uint64(len(a.height)))
	if uint32(at>>32) <= a.height[column] {
		return int(column)
	}
	return int(a.other[column])
}
