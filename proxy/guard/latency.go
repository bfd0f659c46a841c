package guard

import "math"

// percentile is the quantile of durations that is compared.
const percentile = 0.99

// slower reports whether the canary's percentile is more than so many times that of the
// others. No distribution is assumed: the percentile of what a side would have in the long
// run is, for sure, between two of the durations that were seen, which order statistics
// tell. The canary's lowest is compared with the others' highest. With few requests there is
// no such bound: the others need about 1,040.
func slower(stable, canary *counts, times float64) bool {
	highest, ok := upper(stable.requests)
	if !ok {
		return false
	}
	lowest := lower(canary.requests)
	return float64(below(canary.took.bucket(lowest))) > times*float64(above(stable.took.bucket(highest)))
}

// upper is which of n durations, in their order, is not below the percentile for sure; false
// if none is.
func upper(n uint64) (uint64, bool) {
	// The k-th longest is below it only if fewer than k are above.
	k := tailed(n, func(atMost, _ float64) bool { return atMost > unlikely })
	return n - k + 1, k >= 1
}

// lower is which of n durations is not above the percentile for sure. There always is one
// where n is not tiny; else it is the shortest.
func lower(n uint64) uint64 {
	// The k-th longest is above it only if at least k are above.
	k := tailed(n, func(_, atLeast float64) bool { return atLeast <= unlikely })
	return max(n-min(k, n)+1, 1)
}

// tailed is the smallest number k for which stop holds of the probabilities that at most k,
// and at least k, of n durations are above the percentile.
func tailed(n uint64, stop func(atMost, atLeast float64) bool) uint64 {
	const p = 1 - percentile
	if n > 50_000 { // the numbers below would become too small; it is as good as normal
		mean, deviation := float64(n)*p, math.Sqrt(float64(n)*p*percentile)
		for k := math.Floor(max(mean-10*deviation, 0)); ; k++ {
			atMost := math.Erfc((mean-k-0.5)/deviation/math.Sqrt2) / 2
			if stop(atMost, 1-math.Erfc((mean-k+0.5)/deviation/math.Sqrt2)/2) || k > mean+10*deviation {
				return uint64(k)
			}
		}
	}
	this, atMost := math.Pow(percentile, float64(n)), 0.0
	for k := uint64(0); ; k++ {
		before := atMost
		atMost += this
		if stop(atMost, 1-before) || k >= n {
			return k
		}
		this *= float64(n-k) / float64(k+1) * p / percentile
	}
}
