package balance

import (
	"fmt"
	"math"
	"time"
)

// Policy is how an endpoint is chosen among those that may be picked.
type Policy uint8

// The policies.
const (
	PolicyRoundRobin   Policy = iota // one after the other, smoothly by weight
	PolicyLeastRequest               // the fewest requests in flight
	PolicyRandom                     // by weight
	PolicyRingHash                   // the same for the same hash, on a ring
	PolicyMaglev                     // the same for the same hash, by a table
	PolicyPeakEWMA                   // the lowest expected latency
	lastPolicy
)

var policyNames = [lastPolicy]string{"round_robin", "least_request", "random", "ring_hash", "maglev", "peak_ewma"}

// String is the policy's name in the configuration, such as "round_robin".
func (p Policy) String() string {
	if p >= lastPolicy {
		return "unknown"
	}
	return policyNames[p]
}

// hashes reports whether the policy picks by the request's hash.
func (p Policy) hashes() bool { return p == PolicyRingHash || p == PolicyMaglev }

// The limits, and the defaults that are not 0. Defaults of settings where 0 has its own
// meaning are only in [DefaultOptions].
const (
	DefaultChoices          = 2
	DefaultBias             = 1.0
	DefaultMinRingSize      = 1024
	MaxRingSize             = 8 << 20
	DefaultMaglevTable      = 65537
	MaxMaglevTable          = 5000011
	DefaultPanicThreshold   = 50.0
	DefaultOverprovisioning = 1.4
	DefaultMinZoneHosts     = 6
)

// Options are a cluster's settings. The zero value is round robin without panic;
// [DefaultOptions] has the defaults. 0 means the default where it would be invalid.
type Options struct {
	Policy Policy

	// Choices is how many hosts least request compares when weights are equal, at
	// least 2.
	Choices int
	// Bias is how strongly requests in flight lower a weight in least request when
	// weights differ: weight/(active+1)^bias. 0 is plain weighted round robin.
	Bias float64

	// MinRingSize and MaxRingSize bound the points of a ring.
	MinRingSize, MaxRingSize int
	// MaglevTable is the number of slots of a Maglev table, a prime.
	MaglevTable int
	// BoundedLoad is how many times the average load a host may have before ring hash and
	// Maglev skip it, such as 1.25; 0 is no bound.
	BoundedLoad float64

	// DefaultRTT is the latency that peak EWMA expects of an endpoint that has never
	// answered.
	DefaultRTT time.Duration

	// PanicThreshold is the percentage of available hosts below which health is ignored;
	// 0 turns that off.
	PanicThreshold float64
	// Overprovisioning is the assumed spare capacity of a priority: with 1.4 its healthy
	// share may fall to 71 % before some traffic goes to the next priority.
	Overprovisioning float64

	// ZoneAware keeps traffic within this proxy's Zone, as far as the zone's healthy
	// hosts can take it. Hash policies ignore it, as Envoy's do.
	ZoneAware bool
	Zone      string
	// MinZoneHosts is the minimum number of healthy hosts for ZoneAware.
	MinZoneHosts int
	// LocalShare is the fraction of this service's proxies, and so of its traffic, in
	// Zone; the other zones share the rest evenly. Envoy counts its own cluster for this.
	// 0 assumes that all zones are equal: one divided by their number.
	LocalShare float64

	// Subsets are the metadata keys that requests select hosts by.
	Subsets []Selector
	// Fallback is what a request gets if it selects no subset, or one without hosts.
	Fallback Fallback
	// DefaultSubset is what [FallbackDefaultSubset] selects; its keys need no
	// Selector.
	DefaultSubset *Criteria
}

// DefaultOptions returns the policy's default settings.
func DefaultOptions(p Policy) Options {
	return Options{Policy: p, Bias: DefaultBias, PanicThreshold: DefaultPanicThreshold}.withDefaults()
}

// withDefaults replaces zeros that mean a default, and invalid values that would break
// NewSet.
func (o Options) withDefaults() Options {
	orInt := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	orInt(&o.Choices, DefaultChoices)
	orInt(&o.MinRingSize, DefaultMinRingSize)
	orInt(&o.MaxRingSize, MaxRingSize)
	orInt(&o.MaglevTable, DefaultMaglevTable)
	orInt(&o.MinZoneHosts, DefaultMinZoneHosts)
	o.MaxRingSize = min(o.MaxRingSize, MaxRingSize)
	o.MinRingSize = min(o.MinRingSize, o.MaxRingSize)
	o.MaglevTable = nextPrime(min(o.MaglevTable, MaxMaglevTable))
	if o.DefaultRTT <= 0 {
		o.DefaultRTT = DefaultRTT
	}
	if !(o.Overprovisioning > 0) {
		o.Overprovisioning = DefaultOverprovisioning
	}
	return o
}

// Validate reports the first invalid setting by its name here, and what to use instead.
// Zeros that mean a default are valid.
func (o *Options) Validate() error {
	table := o.MaglevTable
	if table == 0 {
		table = DefaultMaglevTable
	}
	largest := o.MaxRingSize
	if largest == 0 {
		largest = MaxRingSize
	}
	for _, c := range []struct {
		wrong  bool
		format string
		args   []any
	}{
		{o.Policy >= lastPolicy, "policy %d is not known; use one of %v", []any{o.Policy, policyNames}},
		{o.Choices < 0 || o.Choices == 1, "choices is %d; at least 2 hosts are compared", []any{o.Choices}},
		{!(o.Bias >= 0) || math.IsInf(o.Bias, 0), "bias is %v; use 0 or more", []any{o.Bias}},
		{o.MaxRingSize < 0 || o.MaxRingSize > MaxRingSize, "max ring size is %d; use 1 to %d", []any{o.MaxRingSize, MaxRingSize}},
		{o.MinRingSize < 0 || o.MinRingSize > largest, "min ring size is %d; use 1 to the max ring size, %d", []any{o.MinRingSize, largest}},
		{table < 2 || table > MaxMaglevTable, "maglev table is %d; use a prime from 2 to %d", []any{table, MaxMaglevTable}},
		{table >= 2 && table <= MaxMaglevTable && nextPrime(table) != table, "maglev table is %d, which is not prime; the next prime is %d", []any{table, nextPrime(min(table, MaxMaglevTable))}},
		{o.BoundedLoad != 0 && !(o.BoundedLoad >= 1), "bounded load is %v; use 1 or more, such as 1.25, or 0 for no bound", []any{o.BoundedLoad}},
		{o.DefaultRTT < 0, "default rtt is %v; use more than 0", []any{o.DefaultRTT}},
		{!(o.PanicThreshold >= 0 && o.PanicThreshold <= 100), "panic threshold is %v; use 0 to 100 percent", []any{o.PanicThreshold}},
		{o.Overprovisioning != 0 && !(o.Overprovisioning >= 1), "overprovisioning is %v; use 1 or more, such as 1.4", []any{o.Overprovisioning}},
		{o.ZoneAware && o.Zone == "", "zone aware needs this proxy's zone", nil},
		{o.MinZoneHosts < 0, "min zone hosts is %d; use 1 or more", []any{o.MinZoneHosts}},
		{!(o.LocalShare >= 0 && o.LocalShare <= 1), "local share is %v; use a fraction from 0 to 1", []any{o.LocalShare}},
		{o.Fallback >= lastFallback, "fallback %d is not known; use one of %v", []any{o.Fallback, fallbackNames}},
		{o.Fallback == FallbackDefaultSubset && o.DefaultSubset == nil, "fallback default_subset needs a default subset", nil},
	} {
		if c.wrong {
			return fmt.Errorf(c.format, c.args...)
		}
	}
	return validSelectors(o.Subsets)
}

// nextPrime returns the smallest prime that is at least n.
func nextPrime(n int) int {
	for n = max(n, 2); !prime(n); n++ {
	}
	return n
}

func prime(n int) bool {
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return n >= 2
}
