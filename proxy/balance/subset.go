package balance

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Selector names metadata keys. All hosts with the same values for these keys form a
// subset; hosts that lack a key are in none.
type Selector struct{ Keys []string }

// Fallback is what a request gets if it selects no subset with hosts.
type Fallback uint8

// The fallbacks. They apply to requests without criteria too, as in Envoy.
const (
	FallbackNone          Fallback = iota // no endpoint
	FallbackAnyEndpoint                   // any endpoint
	FallbackDefaultSubset                 // the default subset, and none if that has no hosts
	lastFallback
)

var fallbackNames = [lastFallback]string{"no_fallback", "any_endpoint", "default_subset"}

// String is the fallback's name in the configuration, such as "any_endpoint".
func (f Fallback) String() string {
	if f >= lastFallback {
		return "unknown"
	}
	return fallbackNames[f]
}

// Criteria is the metadata that a route requires of an endpoint. It selects a subset if a
// [Selector] has exactly its keys. It is made once for each route, sorted and hashed, so
// that a pick sorts and allocates nothing.
type Criteria struct {
	pairs []pair // by key
	hash  uint64
}

type pair struct{ key, value string }

// NewCriteria returns the criteria of these keys and values.
func NewCriteria(metadata map[string]string) *Criteria {
	keys := slices.Sorted(maps.Keys(metadata))
	c, _ := criteriaOf(keys, metadata)
	return c
}

// criteriaOf returns the criteria of the metadata's values for the sorted keys; false if
// it lacks a key.
func criteriaOf(keys []string, metadata map[string]string) (*Criteria, bool) {
	c := &Criteria{pairs: make([]pair, len(keys))}
	for i, k := range keys {
		v, has := metadata[k]
		if !has {
			return nil, false
		}
		c.pairs[i] = pair{k, v}
		c.hash = Combine(Combine(c.hash, HashString(k)), HashString(v))
	}
	return c, true
}

// match reports whether the metadata has everything that the criteria require.
func (c *Criteria) match(metadata map[string]string) bool {
	for _, p := range c.pairs {
		if v, has := metadata[p.key]; !has || v != p.value {
			return false
		}
	}
	return true
}

func validSelectors(selectors []Selector) error {
	for i, s := range selectors {
		if len(s.Keys) == 0 {
			return fmt.Errorf("subset selector %d has no keys; name the metadata that it selects by", i+1)
		}
		sorted := slices.Sorted(slices.Values(s.Keys))
		if len(slices.Compact(slices.Clone(sorted))) < len(sorted) {
			return fmt.Errorf("subset selector %d (%s) names a key twice", i+1, strings.Join(s.Keys, ", "))
		}
	}
	return nil
}

// subsets are the groups of hosts that requests can select.
type subsets struct {
	byHash   map[uint64][]subset // more than one only if hashes collide
	fallback *levels             // nil for none
}

type subset struct {
	criteria *Criteria
	levels   *levels
}

// find returns the subset that the criteria select, or the fallback.
func (s *subsets) find(c *Criteria) (*levels, Outcome) {
	if c == nil {
		return s.fallback, 0
	}
	for _, one := range s.byHash[c.hash] {
		if slices.Equal(one.criteria.pairs, c.pairs) {
			return one.levels, 0
		}
	}
	return s.fallback, SubsetFallback
}

// subsets makes every subset that hosts are in.
func (b *builder) subsets(all []uint32) *subsets {
	o := &b.set.options
	s := &subsets{byHash: map[uint64][]subset{}}
	for _, selector := range o.Subsets {
		keys := slices.Compact(slices.Sorted(slices.Values(selector.Keys)))
		for _, g := range b.group(keys, all) {
			same := func(one subset) bool { return slices.Equal(one.criteria.pairs, g.criteria.pairs) }
			if !slices.ContainsFunc(s.byHash[g.criteria.hash], same) { // or two selectors are the same
				s.byHash[g.criteria.hash] = append(s.byHash[g.criteria.hash], subset{g.criteria, b.levels(g.members)})
			}
		}
	}
	switch o.Fallback {
	case FallbackAnyEndpoint:
		s.fallback = b.levels(all)
	case FallbackDefaultSubset:
		var members []uint32
		for _, h := range all {
			if o.DefaultSubset != nil && o.DefaultSubset.match(b.set.hosts[h].Metadata) {
				members = append(members, h)
			}
		}
		s.fallback = b.levels(members)
	}
	return s
}

// group is a group of hosts with the same values.
type group struct {
	criteria *Criteria
	members  []uint32
}

// group divides the hosts that have the keys by their values.
func (b *builder) group(keys []string, all []uint32) []*group {
	var groups []*group
	byHash := map[uint64][]*group{}
	for _, h := range all {
		c, has := criteriaOf(keys, b.set.hosts[h].Metadata)
		if !has {
			continue
		}
		i := slices.IndexFunc(byHash[c.hash], func(g *group) bool { return slices.Equal(g.criteria.pairs, c.pairs) })
		if i < 0 {
			i = len(byHash[c.hash])
			g := &group{criteria: c}
			byHash[c.hash] = append(byHash[c.hash], g)
			groups = append(groups, g)
		}
		g := byHash[c.hash][i]
		g.members = append(g.members, h)
	}
	return groups
}
