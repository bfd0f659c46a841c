package metrics

import (
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"
)

const (
	// finestSchema makes each bucket 2^(1/8), about 1.09, times as wide as
	// the one before it.
	finestSchema = 3
	// maxNative is the maximum number of buckets in a native histogram. At the finest
	// schema they span a factor of a million: 1 us to 1 s.
	maxNative = 160
	// zeroThreshold is Prometheus' default width of the zero bucket, 2^-128.
	zeroThreshold = 0x1p-128
)

// fractions are the bounds of the finest schema's buckets within [0.5, 1).
var fractions = [1 << finestSchema]float64{
	0.5, 0.5452538663326288, 0.5946035575013605, 0.6484197773255048,
	0.7071067811865475, 0.7711054127039704, 0.8408964152537144, 0.9170040432046711,
}

// native is a Prometheus native histogram of values that are not negative: bucket k
// counts those in (base^(k-1), base^k], where base is 2^(2^-schema). Buckets are one
// dense run. If a value would make the run longer than maxNative, neighbours are merged.
type native struct {
	schema int
	zero   uint64
	first  int // the key of counts[0]
	counts []uint64
}

func newNative() *native { return &native{schema: finestSchema} }

// add counts v.
func (n *native) add(v float64) {
	if v <= zeroThreshold {
		n.zero++
		return
	}
	key := n.key(v)
	if i := key - n.first; i >= 0 && i < len(n.counts) {
		n.counts[i]++
		return
	}
	n.reach(key)
	n.counts[n.key(v)-n.first]++
}

// key is the key of the bucket that v falls into.
func (n *native) key(v float64) int {
	frac, exp := math.Frexp(v)
	i := 0
	for i < len(fractions) && frac > fractions[i] {
		i++
	}
	key := (exp-1)<<finestSchema + i
	shift := finestSchema - n.schema
	return (key + 1<<shift - 1) >> shift
}

// reach extends the run of buckets to key, or to the key that its value has after
// merging.
func (n *native) reach(key int) {
	if len(n.counts) == 0 {
		n.first, n.counts = key, append(n.counts, 0)
		return
	}
	first, last := min(key, n.first), max(key, n.first+len(n.counts)-1)
	for last-first >= maxNative {
		n.merge()
		first, last = (first+1)>>1, (last+1)>>1
	}
	before := n.first - first
	n.counts = slices.Insert(n.counts, 0, make([]uint64, before)...)
	n.counts = append(n.counts, make([]uint64, last-first+1-len(n.counts))...)
	n.first = first
}

// merge makes each bucket twice as wide: keys 2k-1 and 2k become k.
func (n *native) merge() {
	first := (n.first + 1) >> 1
	last := (n.first + len(n.counts)) >> 1
	merged := make([]uint64, last-first+1)
	for i, c := range n.counts {
		merged[(n.first+i+1)>>1-first] += c
	}
	n.schema--
	n.first, n.counts = first, merged
}

// read adds the native part to out.
func (n *native) read(out *dto.Histogram) {
	out.Schema = ptr(int32(n.schema))
	out.ZeroThreshold = ptr(float64(zeroThreshold))
	out.ZeroCount = ptr(n.zero)
	// One span holds the run. An empty span still tells scrapers that this
	// is a native histogram.
	out.PositiveSpan = []*dto.BucketSpan{{
		Offset: ptr(int32(n.first)), Length: ptr(uint32(len(n.counts))),
	}}
	before := int64(0)
	for _, c := range n.counts {
		out.PositiveDelta = append(out.PositiveDelta, int64(c)-before)
		before = int64(c)
	}
}
