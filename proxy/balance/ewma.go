package balance

import "time"

// quickest draws two hosts at random and returns the one with the lower
// expected*(active+1). If weights differ, it draws by weight and divides the requests in
// flight by weight, so hosts get their share both when idle and when busy.
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
