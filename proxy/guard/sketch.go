package guard

import (
	"math"
	"time"
)

// sketch counts durations in buckets, each of which is 2 % longer than the one before, as
// DDSketch does (Masson, Rim and Lee, 2019): a quantile is off by at most that.
type sketch [buckets]uint32

const (
	// growth is how much longer a bucket is than the one before.
	growth = 1.02
	// buckets reach from a microsecond to an hour and a half; what is longer is in the last.
	buckets = 1131
)

var perBucket = 1 / math.Log(growth)

func (s *sketch) observe(d time.Duration) {
	i := 0
	if us := float64(d) / float64(time.Microsecond); us > 1 {
		i = min(int(math.Ceil(math.Log(us)*perBucket)), buckets-1)
	}
	s[i]++
}

// subtract takes back what another sketch has observed too.
func (s *sketch) subtract(other *sketch) {
	for i, n := range other {
		s[i] -= n
	}
}

// above is the bound that all durations of a bucket are at or below, and below the one that
// they are above.
func above(i int) time.Duration {
	return time.Duration(math.Pow(growth, float64(i)) * float64(time.Microsecond))
}

func below(i int) time.Duration {
	if i == 0 {
		return 0
	}
	return above(i - 1)
}

// bucket is that of the n-th shortest duration, from 1 on.
func (s *sketch) bucket(n uint64) int {
	var sum uint64
	for i, c := range s {
		if sum += uint64(c); sum >= n {
			return i
		}
	}
	return buckets - 1
}
