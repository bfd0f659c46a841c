package balance

import (
	"math"
	"slices"
	"strings"
)

// table finds the host of a hash, by a ring or by Maglev. It depends only on keys and
// weights and never changes, so all Sets with the same keys and weights share one, and a
// change of health builds nothing.
type table struct {
	keys    []string  // what it was made from, to recognise it
	weights []float64 // beside them

	ring   *ring   // one of the two
	maglev *maglev // is nil
}

// entry is a host of a table: its position in the list that the table was made of.
type entry struct {
	key    string
	weight float64
	host   uint32
}

func newTable(keys []string, weights []float64, o *Options) *table {
	entries := make([]entry, len(keys))
	for i, k := range keys {
		entries[i] = entry{k, weights[i], uint32(i)}
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	t := &table{keys: keys, weights: weights}
	if o.Policy == PolicyRingHash {
		t.ring = newRing(entries, o.MinRingSize, o.MaxRingSize)
	} else {
		t.maglev = newMaglev(entries, o.MaglevTable)
	}
	return t
}

// start returns the place of a hash in the table, where a walk begins.
func (t *table) start(hash uint64) int {
	if t.ring != nil {
		return t.ring.find(hash)
	}
	return int(hash % uint64(t.size()))
}

func (t *table) size() int {
	switch {
	case t.ring != nil:
		return len(t.ring.hosts)
	case t.maglev.narrow != nil:
		return len(t.maglev.narrow)
	}
	return len(t.maglev.wide)
}

// at returns the position of the host at a place.
func (t *table) at(place int) uint32 {
	switch {
	case t.ring != nil:
		return t.ring.hosts[place]
	case t.maglev.narrow != nil:
		return uint32(t.maglev.narrow[place])
	}
	return t.maglev.wide[place]
}

// tables are the tables of a Set, by a fingerprint of their keys and weights.
type tables map[uint64]*table

// get finds the table of these hosts in this Set or the previous one, or makes it.
func (known tables) get(s *Set, before tables, members []uint32) *table {
	keys, weights := make([]string, len(members)), make([]float64, len(members))
	var print uint64
	for i, m := range members {
		keys[i], weights[i] = s.hosts[m].Key, s.weights[m]
		print = mix(print^HashString(keys[i]), math.Float64bits(weights[i]))
	}
	for _, t := range []*table{known[print], before[print]} {
		if t != nil && slices.Equal(t.keys, keys) && slices.Equal(t.weights, weights) {
			known[print] = t
			return t
		}
	}
	known[print] = newTable(keys, weights, &s.options)
	return known[print]
}

// lookup picks by a table. It skips hosts in the table that may not be picked, and their
// share goes to the next ones, as if they were not on the ring. (In a Maglev table this
// moves fewer keys than filling it again.)
type lookup struct {
	table  *table
	hosts  []uint32  // by the table's positions
	usable []bool    // by the table's positions, nil if all are
	shares []float64 // by the table's positions, of the weights of usable hosts
}

// newLookup uses the table of all hosts of a priority if at least half of them are
// usable, which keeps walks short. Else it uses a table of the usable hosts.
func newLookup(s *Set, before tables, all, usable []uint32) *lookup {
	if 2*len(usable) < len(all) {
		all = usable
	}
	l := &lookup{table: s.tables.get(s, before, all), hosts: all, shares: make([]float64, len(all))}
	if len(usable) < len(all) {
		l.usable = make([]bool, len(all))
	}
	sum, next := 0.0, 0 // usable is in the order of all
	for i, h := range all {
		if next == len(usable) || usable[next] != h {
			continue
		}
		next++
		if l.usable != nil {
			l.usable[i] = true
		}
		l.shares[i] = s.weights[h]
		sum += s.weights[h]
	}
	for i := range l.shares {
		l.shares[i] /= sum
	}
	return l
}

// longestWalk is how many places of a table a pick checks before it goes through the list
// of hosts. If half of the hosts are usable, one in 2^64 walks gets that far.
const longestWalk = 64

// pick returns the usable host of the hash, or the next one that is untried and within
// the bound of load. If there is none, it returns the first usable host of the hash.
func (l *lookup) pick(s *Set, r *Request, hash uint64) int {
	limit := s.limit()
	own := -1
	place, size := l.table.start(hash), l.table.size()
	for range min(longestWalk, size) {
		at := int(l.table.at(place))
		if place++; place == size {
			place = 0
		}
		if l.usable != nil && !l.usable[at] {
			continue
		}
		if own < 0 {
			own = int(l.hosts[at])
		}
		if l.takes(s, r, limit, at) {
			return int(l.hosts[at])
		}
	}
	return l.scan(s, r, limit, hash, own)
}

// scan goes through the hosts, starting at one that depends on the hash.
func (l *lookup) scan(s *Set, r *Request, limit limit, hash uint64, own int) int {
	start := below(mix(hash, forRetry), len(l.hosts))
	for i := range l.hosts {
		at := start + i
		if at >= len(l.hosts) {
			at -= len(l.hosts)
		}
		if l.usable != nil && !l.usable[at] {
			continue
		}
		if own < 0 {
			own = int(l.hosts[at])
		}
		if l.takes(s, r, limit, at) {
			return int(l.hosts[at])
		}
	}
	return own
}

// takes reports whether the usable host at a position takes the request.
func (l *lookup) takes(s *Set, r *Request, limit limit, at int) bool {
	host := int(l.hosts[at])
	return !s.tried(r, host) && !limit.passed(s, host, l.shares[at])
}

// limit is the load that all hosts together may have: (requests in flight + 1) times the
// factor of bounded load (Mirrokni et al., arXiv:1608.01350). 0 is no limit.
type limit float64

func (s *Set) limit() limit {
	if s.options.BoundedLoad == 0 {
		return 0
	}
	return limit(s.options.BoundedLoad * float64(s.active()+1))
}

// passed reports whether one more request would exceed the host's share.
func (l limit) passed(s *Set, host int, share float64) bool {
	return l != 0 && s.loads[host].Active() >= int64(max(math.Ceil(float64(l)*share), 1))
}

// active is the number of requests in flight to all hosts.
func (s *Set) active() int64 {
	if t := s.total; t != nil {
		return t.Active()
	}
	n := int64(0)
	for _, l := range s.loads {
		n += l.Active()
	}
	return n
}

// hashOf is the request's hash, or a random one.
func hashOf(r *Request) uint64 {
	if r.Hashed {
		return r.Hash
	}
	return mix(r.Random, forPolicy)
}
