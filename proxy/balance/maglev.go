package balance

import "math"

// maglev is the lookup table of Google's Maglev (Eisenbud et al., NSDI 2016, section
// 3.4): hosts take turns, as often as their weights say, and each claims the next free
// slot of its own permutation. A slot takes 2 bytes, or 4 if there are too many hosts for
// 2.
type maglev struct {
	narrow []uint16
	wide   []uint32
}

// newMaglev fills a table of size slots, a prime. The entries must be sorted by key: the
// order decides between hosts that want the same slot.
func newMaglev(entries []entry, size int) *maglev {
	m := &maglev{}
	if len(entries) > math.MaxUint16 {
		m.wide = make([]uint32, size)
		populate(m.wide, entries)
	} else {
		m.narrow = make([]uint16, size)
		populate(m.narrow, entries)
	}
	return m
}

// claim is a host's progress in filling the table.
type claim struct {
	next, skip uint64  // the next slot of its permutation, and the step to the one after
	due        float64 // the sum of its weights over the rounds at which its turn comes
}

func populate[T uint16 | uint32](table []T, entries []entry) {
	size := uint64(len(table))
	claims := make([]claim, len(entries))
	heaviest := 0.0
	for i, e := range entries {
		claims[i] = claim{next: xxh64(e.key, 0) % size, skip: xxh64(e.key, 1)%(size-1) + 1}
		heaviest = max(heaviest, e.weight)
	}
	taken := make([]bool, size)
	for left, round := len(table), 1.0; ; round++ {
		for i := range claims {
			c := &claims[i]
			if round*entries[i].weight < c.due {
				continue
			}
			c.due += heaviest
			for taken[c.next] {
				if c.next += c.skip; c.next >= size {
					c.next -= size
				}
			}
			taken[c.next] = true
			table[c.next] = T(entries[i].host)
			if left--; left == 0 {
				return
			}
		}
	}
}
