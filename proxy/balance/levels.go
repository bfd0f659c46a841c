package balance

import (
	"cmp"
	"slices"
)

// levels are the hosts of a cluster or of a subset, by priority. A pick chooses priority
// and health first, then the zone, then the host.
type levels struct {
	choices []choice
	percent int // the sum of the choices' shares
	usable  []usable
}

// choice is a group of hosts that gets a share of the traffic.
type choice struct {
	upTo  int // percent: the sum of its share and those of the choices before it
	to    *candidates
	zones *zones // divides to by zone; nil for no division
}

// usable are hosts that may be picked. Hosts without a share are for requests that have
// tried all the others.
type usable struct {
	hosts []uint32
	how   Outcome
	zoned bool // zones divide it
}

// level is the hosts of one priority.
type level struct {
	all, present, healthy, degraded []uint32
	unchecked                       []uint32 // unchecked hosts, for requests that have tried all others
}

func (b *builder) levels(members []uint32) *levels {
	unchecked := Outcome(0)
	runs := b.byPriority(members)
	if fresh(runs) {
		// The first checks take a moment. Until one has ended, hosts count as healthy;
		// otherwise requests would be refused for that moment.
		unchecked = UncheckedHost
		for i := range runs {
			runs[i].healthy, runs[i].unchecked = runs[i].unchecked, nil
		}
	}
	standings := make([]standing, len(runs))
	for i, r := range runs {
		standings[i] = standing{len(r.healthy), len(r.degraded), len(r.present)}
	}
	o := &b.set.options
	shares := divide(standings, o.Overprovisioning, o.PanicThreshold)
	l := &levels{}
	for i, r := range runs {
		if !shares[i].panic {
			l.add(b, i, &r, r.healthy, shares[i].healthy, unchecked)
		}
	}
	for i, r := range runs {
		if !shares[i].panic {
			l.add(b, i, &r, r.degraded, shares[i].degraded, DegradedHost)
		}
	}
	for i, r := range runs {
		if shares[i].panic {
			b.set.panic = b.set.panic || len(r.present) > 0
			l.add(b, i, &r, r.present, shares[i].healthy+shares[i].degraded, Panic)
		}
	}
	for i, r := range runs {
		if !shares[i].panic {
			l.add(b, i, &r, r.unchecked, 0, UncheckedHost)
		}
	}
	if len(l.choices) == 0 && len(l.usable) > 0 { // too few hosts for a whole percent, and no panic
		u := l.usable[0]
		l.percent = 100
		l.choices = []choice{{upTo: 100, to: b.candidates(u.hosts, u.hosts, u.how)}}
	}
	return l
}

// fresh reports whether some hosts are not checked yet, and no other is healthy.
func fresh(runs []level) bool {
	some := false
	for _, r := range runs {
		if len(r.healthy)+len(r.degraded) > 0 {
			return false
		}
		some = some || len(r.unchecked) > 0
	}
	return some
}

// add makes hosts usable, and a choice if they have a share.
func (l *levels) add(b *builder, number int, r *level, hosts []uint32, share int, how Outcome) {
	if len(hosts) == 0 {
		return
	}
	if number > 0 {
		how |= Failover
	}
	u := usable{hosts: hosts, how: how}
	if share > 0 {
		l.percent += share
		c := choice{upTo: l.percent}
		if how == 0 {
			c.zones = b.byZone(r.all, hosts, how)
		}
		if u.zoned = c.zones != nil; !u.zoned {
			c.to = b.candidates(r.all, hosts, how)
		}
		l.choices = append(l.choices, c)
	}
	l.usable = append(l.usable, u)
}

// byPriority divides the hosts by priority and health, and keeps their order.
func (b *builder) byPriority(members []uint32) []level {
	hosts := b.set.hosts
	compare := func(x, y uint32) int { return cmp.Compare(hosts[x].Priority, hosts[y].Priority) }
	if !slices.IsSortedFunc(members, compare) {
		members = slices.Clone(members)
		slices.SortStableFunc(members, compare)
	}
	var levels []level
	for len(members) > 0 {
		n := 1
		for n < len(members) && compare(members[0], members[n]) == 0 {
			n++
		}
		levels = append(levels, b.byHealth(members[:n]))
		members = members[n:]
	}
	return levels
}

func (b *builder) byHealth(all []uint32) level {
	l := level{all: all}
	of := map[Health]int{}
	for _, h := range all {
		of[b.set.hosts[h].Health]++
	}
	l.healthy = make([]uint32, 0, of[Healthy])
	l.degraded = make([]uint32, 0, of[Degraded])
	l.present = make([]uint32, 0, len(all)-of[Excluded])
	for _, h := range all {
		switch b.set.hosts[h].Health {
		case Excluded:
			continue
		case Healthy:
			l.healthy = append(l.healthy, h)
		case Degraded:
			l.degraded = append(l.degraded, h)
		case Unchecked:
			l.unchecked = append(l.unchecked, h)
		}
		l.present = append(l.present, h)
	}
	return l
}

// single returns the host, if only one may be picked.
func (l *levels) single() (host int, how Outcome, ok bool) {
	if len(l.usable) != 1 || len(l.usable[0].hosts) != 1 {
		return -1, 0, false
	}
	return int(l.usable[0].hosts[0]), l.usable[0].how, true
}

func (l *levels) pick(s *Set, r *Request) (int, Outcome) {
	if len(l.choices) == 0 {
		return -1, 0
	}
	c := &l.choices[0]
	if len(l.choices) > 1 {
		c = l.choose(s, r)
	}
	to := c.to
	if c.zones != nil {
		to = c.zones.pick(r.Random)
	}
	host := to.pick(s, r)
	if len(r.Tried) > 0 && s.tried(r, host) {
		return l.another(s, r, to, host)
	}
	return host, to.how
}

// choose draws a choice by the shares. For hash policies it uses the request's hash, so
// that a hash keeps its priority.
func (l *levels) choose(s *Set, r *Request) *choice {
	at := 0
	if r.Hashed && s.options.Policy.hashes() {
		at = int(r.Hash % uint64(l.percent))
	} else {
		at = below(mix(r.Random, forPriority), l.percent)
	}
	for i := range l.choices {
		if at < l.choices[i].upTo {
			return &l.choices[i]
		}
	}
	return &l.choices[len(l.choices)-1]
}

// redraws is how often the policy is asked again for an untried host, before a search
// through the list.
const redraws = 3

// another finds an untried host: by the policy, if that finds one soon, else any of the
// same hosts, then any other that may be picked. If there is none, it returns the host
// that was picked.
func (l *levels) another(s *Set, r *Request, from *candidates, picked int) (int, Outcome) {
	again := *r
	for k := range uint64(redraws) {
		if from.lookup != nil { // it has looked at all hosts with room for one more
			break
		}
		again.Random = mix(r.Random, forRetry+k)
		if host := from.pick(s, &again); !s.tried(r, host) {
			return host, from.how
		}
	}
	if host := s.untried(r, from.hosts); host >= 0 {
		return host, from.how
	}
	for _, u := range l.usable {
		if host := s.untried(r, u.hosts); host >= 0 {
			if u.zoned && s.hosts[host].Zone != s.options.Zone {
				u.how |= CrossZone
			}
			return host, u.how
		}
	}
	return picked, from.how | Repeated
}

// untried returns the first untried host, starting at a random one, or -1.
func (s *Set) untried(r *Request, hosts []uint32) int {
	start := below(mix(r.Random, forRetry), len(hosts))
	for i := range hosts {
		at := start + i
		if at >= len(hosts) {
			at -= len(hosts)
		}
		if host := int(hosts[at]); !s.tried(r, host) {
			return host
		}
	}
	return -1
}
