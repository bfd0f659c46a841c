package balance

import (
	"math"
	"math/bits"
	"strconv"
)

// ring is a circle of 64-bit hashes on which each host has points in proportion to
// its weight; a hash belongs to the first point at or after it. Points are where
// Envoy puts them: at the XXH64 of "key_0", "key_1"...
//
// The circle is cut into as many equal arcs as there are points, about one point
// each, and starts tells where an arc's points begin. So a lookup and the sorting
// of the points both take constant time a point.
type ring struct {
	hashes []uint64
	hosts  []uint32 // by point
	starts []uint32 // by arc, and one more
}

// newRing places the points of the entries, which must be sorted by key. Envoy does not
// sort them, so there the order of hosts decides which of two gets an odd point.
func newRing(entries []entry, smallest, largest int) *ring {
	sum, least := 0.0, math.Inf(1)
	for _, e := range entries {
		sum += e.weight
		least = min(least, e.weight)
	}
	least /= sum
	scale := min(math.Ceil(least*float64(smallest))/least, float64(largest)) // the lightest host has a whole number of points
	hashes := make([]uint64, 0, int(scale)+1)
	hosts := make([]uint32, 0, int(scale)+1)
	var text []byte
	target := 0.0
	for _, e := range entries {
		target += scale * e.weight / sum
		text = append(append(text[:0], e.key...), '_')
		stem := len(text)
		for i := uint64(0); float64(len(hashes)) < target && len(hashes) < largest; i++ {
			text = strconv.AppendUint(text[:stem], i, 10)
			hashes = append(hashes, Hash(text))
			hosts = append(hosts, e.host)
		}
	}
	return sortRing(hashes, hosts)
}

// sortRing puts the points into their arcs by counting, and sorts the few of each
// arc by insertion.
func sortRing(hashes []uint64, hosts []uint32) *ring {
	n := len(hashes)
	r := &ring{hashes: make([]uint64, n), hosts: make([]uint32, n), starts: make([]uint32, n+1)}
	for _, h := range hashes {
		r.starts[below(h, n)+1]++
	}
	for i := range n {
		r.starts[i+1] += r.starts[i]
	}
	filled := make([]uint32, n)
	for i, h := range hashes {
		arc := below(h, n)
		at := r.starts[arc] + filled[arc]
		for ; at > r.starts[arc] && r.hashes[at-1] > h; at-- {
			r.hashes[at], r.hosts[at] = r.hashes[at-1], r.hosts[at-1]
		}
		r.hashes[at], r.hosts[at] = h, hosts[i]
		filled[arc]++
	}
	return r
}

// find returns the point that h belongs to.
func (r *ring) find(h uint64) int {
	arc, _ := bits.Mul64(h, uint64(len(r.hashes)))
	i := int(r.starts[arc])
	for i < len(r.hashes) && r.hashes[i] < h {
		i++
	}
	if i == len(r.hashes) {
		return 0
	}
	return i
}
