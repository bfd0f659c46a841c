package balance

import "time"

// quickest is the cheaper of two hosts that are drawn at random, by
// expected*(active+1). Where weights differ they are drawn by weight, and the
// requests in flight count by weight, so that an idle pair is shared by weight
// and a busy one loaded by weight.
func (c *candidates) quickest(s *Set, random uint64, now time.Duration) int {
	var i, j int
	if c.alias == nil {
		i = below(random, len(c.hosts))
		if j = i + 1 + below(mix(random, forSecond), len(c.hosts)-1); j >= len(c.hosts) {
			j -= len(c.hosts)
		}
	} else {
		i, j = c.alias.pick(random), c.alias.pick(mix(random, forSecond))
	}
	if i != j && c.cost(s, j, now) < c.cost(s, i, now) {
		i = j
	}
	return int(c.hosts[i])
}

func (c *candidates) cost(s *Set, position int, now time.Duration) float64 {
	host := c.hosts[position]
	l := s.loads[host]
	active := float64(l.Active())
	if c.alias != nil {
		active *= c.meanWeight / s.weights[host]
	}
	return l.expected(now, float64(s.options.DefaultRTT)) * (active + 1)
}
