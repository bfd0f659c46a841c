package guard

import "math"

// worse is a one-sided test of two proportions: whether the canary's share of failed
// requests is above that of the others by more than a margin. Each side counts as if it had
// one more request that failed and one that did not (Agresti and Caffo, 2000): so few
// requests without an error do not pass for certainty.
func worse(stable, canary Summary, margin float64) bool {
	ps, ns := adjusted(stable)
	pc, nc := adjusted(canary)
	deviation := math.Sqrt(ps*(1-ps)/ns + pc*(1-pc)/nc)
	return canary.ErrorRate()-stable.ErrorRate() > margin && pc-ps-margin > sure*deviation
}

func adjusted(s Summary) (rate, n float64) {
	n = float64(s.Requests) + 2
	return (float64(s.Failed) + 1) / n, n
}
