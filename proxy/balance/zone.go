package balance

import "math"

// zones keeps traffic within this proxy's zone as far as the zone's hosts can take it,
// and sends the rest to zones with room, as Envoy does.
//
// All hosts should get the same load. So a zone takes the share of all traffic that
// equals its share of the upstream's healthy hosts. Zones with more traffic than that
// send the surplus to zones with less.
type zones struct {
	local  *candidates
	stays  uint64   // of 2^64, the share that stays in the zone
	others []others // the zones with room
}

type others struct {
	upTo uint64 // of 2^64, what goes to it and those before it, of what leaves
	to   *candidates
}

// pick chooses the hosts to pick among.
func (z *zones) pick(random uint64) *candidates {
	if mix(random, forZone) <= z.stays {
		return z.local
	}
	at := mix(random, forSecond)
	for _, o := range z.others {
		if at <= o.upTo {
			return o.to
		}
	}
	return z.others[len(z.others)-1].to
}

// room computes the flow from the local zone, which comes first in hosts: the share that
// stays, and the cumulative shares of the rest for the other zones. hosts counts hosts by
// zone. localShare is the fraction of all traffic that begins in the local zone; the
// other zones share the rest evenly. There must be at least two zones, and a local host.
func room(hosts []int, localShare float64) (stays float64, upTo []float64) {
	total := 0
	for _, n := range hosts {
		total += n
	}
	if localShare == 0 {
		localShare = 1 / float64(len(hosts))
	}
	capacity := func(i int) float64 { return float64(hosts[i]) / float64(total) }
	elsewhere := (1 - localShare) / float64(len(hosts)-1)
	upTo = make([]float64, len(hosts))
	sum := 0.0
	for i := 1; i < len(hosts); i++ {
		sum += max(capacity(i)-elsewhere, 0)
		upTo[i] = sum
	}
	if capacity(0) >= localShare || sum == 0 {
		return 1, upTo
	}
	for i := range upTo {
		upTo[i] /= sum
	}
	return capacity(0) / localShare, upTo
}

// byZone divides the healthy hosts of the first priority by zone. It returns nil if that
// gains nothing: too few hosts, a single zone, or no host in this zone.
func (b *builder) byZone(all, healthy []uint32, how Outcome) *zones {
	o := &b.set.options
	if !o.ZoneAware || o.Policy.hashes() || len(healthy) < o.MinZoneHosts {
		return nil
	}
	number := map[string]int{o.Zone: 0}
	members := [][]uint32{nil}
	for _, h := range healthy {
		name := b.set.hosts[h].Zone
		n, known := number[name]
		if !known {
			n = len(members)
			number[name] = n
			members = append(members, nil)
		}
		members[n] = append(members[n], h)
	}
	if len(members) < 2 || len(members[0]) == 0 {
		return nil
	}
	counts := make([]int, len(members))
	for i, m := range members {
		counts[i] = len(m)
	}
	stays, upTo := room(counts, o.LocalShare)
	z := &zones{local: b.candidates(all, members[0], how), stays: fraction(stays)}
	for i := 1; i < len(members) && stays < 1; i++ {
		if upTo[i] > upTo[i-1] {
			z.others = append(z.others, others{fraction(upTo[i]), b.candidates(all, members[i], how|CrossZone)})
		}
	}
	return z
}

// fraction is a part of 2^64.
func fraction(f float64) uint64 {
	if f >= 1 {
		return math.MaxUint64
	}
	return uint64(f * (1 << 64))
}
