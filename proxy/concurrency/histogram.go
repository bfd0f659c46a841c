package concurrency

import (
	"math"
	"math/bits"
	"time"
)

// A histogram counts durations in buckets, each at most 1/32 of its value wide.
type histogram struct {
	count   int
	buckets [64 + 32*(64-6)]uint32
}

func (h *histogram) add(d time.Duration) {
	h.count++
	h.buckets[bucketOf(uint64(max(d, 0)))]++
}

// bucketOf is the bucket of a value: its own up to 64, and beyond one by its first six bits.
func bucketOf(v uint64) int {
	if v < 64 {
		return int(v)
	}
	shift := bits.Len64(v) - 6
	return shift*32 + int(v>>shift)
}

// middle is the value in the middle of a bucket.
func middle(bucket int) uint64 {
	if bucket < 64 {
		return uint64(bucket)
	}
	shift := bucket/32 - 1 // the first of the six bits is set: 32 of them
	return (uint64(bucket-shift*32) << shift) + 1<<shift/2
}

// percentile is the value that so many per cent of the durations are not above; there is
// at least one.
func (h *histogram) percentile(p float64) time.Duration {
	rank := max(int(math.Ceil(p/100*float64(h.count))), 1)
	for i, n := range h.buckets {
		if rank -= int(n); rank <= 0 {
			return time.Duration(middle(i))
		}
	}
	return math.MaxInt64
}
