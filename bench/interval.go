package main

import (
	"math/rand/v2"
	"slices"
)

// What an interval says of a limit.
const (
	slowerForSure = "REGRESSION"
	notDecided    = "not decided"
	withinLimit   = "ok"
)

func (p *pair) judge(limit float64) string {
	switch _, low, high := p.ratio(); {
	case low > limit:
		return slowerForSure
	case high > limit:
		return notDecided
	}
	return withinLimit
}

// ratio is the median of the rounds' ratios of this tree to the other revision, and
// where it lies.
func (p *pair) ratio() (ratio, low, high float64) {
	ratios := make([]float64, len(p.micros))
	for i := range ratios {
		ratios[i] = p.micros[i] / p.baseMicros[i]
	}
	low, high = interval(ratios)
	return median(ratios), low, high
}

// confidence is the probability that an interval contains the true ratio.
const confidence = 0.95

// interval is where the median lies of what the values are a sample of, by the bootstrap:
// the middle part of the medians of many samples drawn from the values with replacement.
// The same values give the same interval.
func interval(values []float64) (low, high float64) {
	const draws = 5000
	random := rand.New(rand.NewPCG(1, 1))
	medians := make([]float64, draws)
	sample := make([]float64, len(values))
	for i := range medians {
		for k := range sample {
			sample[k] = values[random.IntN(len(values))]
		}
		medians[i] = median(sample)
	}
	slices.Sort(medians)
	tail := int(draws * (1 - confidence) / 2)
	return medians[tail], medians[draws-1-tail]
}
