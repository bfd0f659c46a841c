package balance

import "math"

// Host is an endpoint as a picker sees it. It does not change once it is in a
// [Set], but for its Load.
type Host struct {
	// Key is its identity for ring hash and Maglev: its address.
	Key string
	// Weight is its share of the traffic beside those of the other hosts; slow
	// start is in it already (see [SlowStart]). One that is not a positive,
	// finite number counts as 1.
	Weight float64
	// Priority is its level: those of a higher number get what the lower ones
	// can't take.
	Priority int
	// Zone is where it is, "" if that is not known.
	Zone string
	// Health is whether it may be picked.
	Health Health
	// Metadata is what subsets select it by.
	Metadata map[string]string
	// Load is shared by all Sets that have the endpoint, and tells it from
	// others in [Request.Tried]. It is never nil.
	Load *Load
}

// Health is whether a host may be picked.
type Health uint8

// The states of health.
const (
	Healthy   Health = iota // it is picked
	Degraded                // it is picked when the healthy ones can't take all
	Unchecked               // nobody has asked it yet: it counts as unhealthy beside hosts that are well, else as healthy
	Unhealthy               // it is picked in a panic alone
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
