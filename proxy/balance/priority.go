package balance

import "math"

// standing is how many hosts of a priority there are, those that are excluded aside.
type standing struct{ healthy, degraded, present int }

// share is what a priority gets of the traffic, in percent.
type share struct {
	healthy, degraded int
	panic             bool // it uses all its hosts, whatever their health
}

// divide says what each priority, the first first, gets of the traffic, as Envoy
// does, in whole percents. A priority's health is its share of healthy hosts, times
// the overprovisioning, at most 100. Traffic goes to the healthy hosts of the first
// priority up to its health, then to those of the next, then to the degraded hosts
// of all in the same way; where all health together is short of 100 it is scaled
// up. Only then can a priority panic: if its available hosts are less than the
// threshold, in percent; and if all do, traffic is divided by the number of hosts.
func divide(levels []standing, overprovisioning, panicThreshold float64) []share {
	shares := make([]share, len(levels))
	health := func(available int, l standing) int {
		if l.present == 0 {
			return 0
		}
		return min(int(math.Round(overprovisioning*100))*available/l.present, 100)
	}
	total := 0
	for i, l := range levels {
		shares[i] = share{healthy: health(l.healthy, l), degraded: health(l.degraded, l)}
		total += shares[i].healthy + shares[i].degraded
	}
	total = min(total, 100)
	if panics(levels, shares, total, panicThreshold) {
		divideByNumber(levels, shares)
	} else if total > 0 {
		divideByHealth(shares, total)
	}
	return shares
}

// panics marks the priorities that panic, and reports whether all do.
func panics(levels []standing, shares []share, total int, threshold float64) (all bool) {
	if total == 100 {
		return false
	}
	all = true
	for i, l := range levels {
		available := 0.0
		if l.present > 0 {
			available = 100 * float64(l.healthy+l.degraded) / float64(l.present)
		}
		shares[i].panic = available < threshold
		all = all && shares[i].panic
	}
	return all
}

// divideByHealth turns health into shares of the traffic. What rounding leaves goes
// to the first that gets anything.
func divideByHealth(shares []share, total int) {
	left := 100
	var first *int
	take := func(health *int) {
		if first == nil && *health > 0 {
			first = health
		}
		*health = min(left, *health*100/total)
		left -= *health
	}
	for i := range shares {
		take(&shares[i].healthy)
	}
	for i := range shares {
		take(&shares[i].degraded)
	}
	*first += left
}

func divideByNumber(levels []standing, shares []share) {
	total, first := 0, -1
	for i, l := range levels {
		total += l.present
		if first < 0 && l.present > 0 {
			first = i
		}
	}
	left := 100
	for i, l := range levels {
		shares[i].healthy, shares[i].degraded = 0, 0
		if total > 0 {
			shares[i].healthy = 100 * l.present / total
			left -= shares[i].healthy
		}
	}
	if first >= 0 {
		shares[first].healthy += left
	}
}
