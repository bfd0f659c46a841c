package balance

// candidates are hosts of one priority, health and zone, with the state of the policy
// that picks among them. The policy, and whether weights differ, decide which fields are
// used.
type candidates struct {
	hosts []uint32
	how   Outcome

	turn       RoundRobin // round robin of equal weights
	schedule   *schedule  // round robin of unequal weights
	deadlines  *deadlines // least request of unequal weights
	alias      *alias     // random and peak EWMA of unequal weights
	meanWeight float64    // peak EWMA of unequal weights
	lookup     *lookup    // ring hash and Maglev
}

// candidates prepares the policy for the usable hosts, at least one; all are all hosts of
// the priority.
func (b *builder) candidates(all, usable []uint32, how Outcome) *candidates {
	c := &candidates{hosts: usable, how: how}
	s := b.set
	if len(usable) == 1 {
		return c
	}
	if s.options.Policy.hashes() {
		c.lookup = newLookup(s, b.before, all, usable)
		return c
	}
	seed := b.draw()
	c.turn.next.Store(seed >> 1)
	weights := make([]float64, len(usable))
	equal, sum := true, 0.0
	for i, h := range usable {
		weights[i] = s.weights[h]
		equal = equal && weights[i] == weights[0]
		sum += weights[i]
	}
	if equal {
		return c
	}
	switch s.options.Policy {
	case PolicyRoundRobin:
		c.schedule = newSchedule(weights, seed)
	case PolicyLeastRequest:
		c.deadlines = newDeadlines(usable, weights, seed)
	case PolicyPeakEWMA:
		c.meanWeight = sum / float64(len(usable))
		c.alias = newAlias(weights)
	default:
		c.alias = newAlias(weights)
	}
	return c
}

func (c *candidates) pick(s *Set, r *Request) int {
	if len(c.hosts) == 1 {
		return int(c.hosts[0])
	}
	switch s.options.Policy {
	case PolicyRingHash, PolicyMaglev:
		return c.lookup.pick(s, r, hashOf(r))
	case PolicyLeastRequest:
		if c.deadlines != nil {
			return c.deadlines.pick(s)
		}
		return c.leastActive(s, mix(r.Random, forPolicy))
	case PolicyPeakEWMA:
		return c.quickest(s, mix(r.Random, forPolicy), r.Now)
	case PolicyRandom:
		random := mix(r.Random, forPolicy)
		if c.alias != nil {
			return int(c.hosts[c.alias.pick(random)])
		}
		return int(c.hosts[below(random, len(c.hosts))])
	}
	if c.schedule != nil {
		return int(c.hosts[c.schedule.pick()])
	}
	return int(c.hosts[c.turn.Pick(len(c.hosts))])
}
