package balance

import "math"

// standing counts the hosts of a priority, without excluded ones.
type standing struct{ healthy, degraded, present int }

// share is what a priority gets of the traffic, in percent.
type share struct {
	healthy, degraded int
	panic             bool // it uses all its hosts, whatever their health
}

// divide returns each priority's share of the traffic in whole percents, as Envoy does. A
// priority's health is its percentage of healthy hosts times the overprovisioning, at
// most 100. Traffic goes to the healthy hosts of the first priority up to its health,
// then to those of the next ones, then to degraded hosts in the same way. If all health
// together is below 100, it is scaled up. Only then can a priority panic: if its
// percentage of available hosts is below the threshold. If all priorities panic, traffic
// is divided by the number of hosts.
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

// divideByHealth turns health into shares of the traffic. The rest from rounding goes to
// the first priority with a share.
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
