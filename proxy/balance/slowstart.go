package balance

import (
	"math"
	"time"
)

// The defaults of slow start.
const (
	DefaultAggression     = 1.0 // the weight grows in a straight line
	DefaultMinWeightShare = 10  // percent
)

// SlowStart returns the factor for the weight of a host of that age, so that a new host
// warms up before it takes its full share: max(minPercent/100,
// (age/window)^(1/aggression)), and 1 after the window or without one. With an aggression
// above 1 the share grows fast at first, below 1 late. An aggression that is not positive
// counts as 1.
func SlowStart(age, window time.Duration, aggression, minPercent float64) float64 {
	if age >= window {
		return 1
	}
	if !(aggression > 0) {
		aggression = DefaultAggression
	}
	share := math.Pow(float64(max(age, 0))/float64(window), 1/aggression)
	return min(max(share, minPercent/100), 1)
}
