package balance

import "math"

// Host is an endpoint as a picker sees it. Once it is in a [Set], only its Load changes.
type Host struct {
	// Key is its identity for ring hash and Maglev: its address.
	Key string
	// Weight is its share of the traffic, relative to the other weights; it includes slow
	// start (see [SlowStart]). A weight that is not positive and finite counts as 1.
	Weight float64
	// Priority is its level. Higher numbers get the traffic that lower ones can't take.
	Priority int
	// Zone is where it is, "" if that is not known.
	Zone string
	// Health is whether it may be picked.
	Health Health
	// Metadata is what subsets select it by.
	Metadata map[string]string
	// Load is shared by all Sets that have the endpoint, and identifies the endpoint in
	// [Request.Tried]. It is never nil.
	Load *Load
}

// Health is whether a host may be picked.
type Health uint8

// The states of health.
const (
	Healthy   Health = iota // it is picked
	Degraded                // it is picked when the healthy hosts can't take all traffic
	Unchecked               // not checked yet: it counts as unhealthy next to healthy hosts, else as healthy
	Unhealthy               // it is picked only in a panic
	Excluded                // it drains: never picked, and not counted
)

// String is the state's name, such as "healthy".
func (h Health) String() string {
	switch h {
	case Healthy:
		return "healthy"
	case Degraded:
		return "degraded"
	case Unchecked:
		return "unchecked"
	case Unhealthy:
		return "unhealthy"
	case Excluded:
		return "excluded"
	}
	return "unknown"
}

// weight is the host's weight, made safe to divide by.
func (h *Host) weight() float64 {
	if !(h.Weight > 0) || math.IsInf(h.Weight, 0) { // NaN is not greater than 0 either
		return 1
	}
	return h.Weight
}
