package balance

import (
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    Options
		want string // "" for valid
	}{
		{"zero", Options{}, ""},
		{"defaults", DefaultOptions(PolicyMaglev), ""},
		{"policy", Options{Policy: 99}, "policy 99 is not known; use one of [round_robin least_request random ring_hash maglev peak_ewma]"},
		{"choices", Options{Choices: 1}, "choices is 1; at least 2"},
		{"bias", Options{Bias: -1}, "bias is -1"},
		{"ring too large", Options{MaxRingSize: MaxRingSize + 1}, "max ring size is 8388609; use 1 to 8388608"},
		{"ring's least above its most", Options{MinRingSize: 2000, MaxRingSize: 1000}, "min ring size is 2000; use 1 to the max ring size, 1000"},
		{"table that is not prime", Options{MaglevTable: 65536}, "maglev table is 65536, which is not prime; the next prime is 65537"},
		{"table of one", Options{MaglevTable: 1}, "maglev table is 1; use a prime"},
		{"table too large", Options{MaglevTable: 5000013}, "maglev table is 5000013; use a prime"},
		{"largest table", Options{MaglevTable: MaxMaglevTable}, ""},
		{"bound below the average", Options{BoundedLoad: 0.5}, "bounded load is 0.5"},
		{"threshold", Options{PanicThreshold: 101}, "panic threshold is 101; use 0 to 100 percent"},
		{"overprovisioning", Options{Overprovisioning: 0.9}, "overprovisioning is 0.9"},
		{"no zone", Options{ZoneAware: true}, "zone aware needs this proxy's zone"},
		{"local share", Options{LocalShare: 1.5}, "local share is 1.5"},
		{"rtt", Options{DefaultRTT: -1}, "default rtt"},
		{"zone hosts", Options{MinZoneHosts: -1}, "min zone hosts"},
		{"fallback", Options{Fallback: 9}, "fallback 9 is not known; use one of [no_fallback any_endpoint default_subset]"},
		{"no default subset", Options{Fallback: FallbackDefaultSubset}, "needs a default subset"},
		{"selector without keys", Options{Subsets: []Selector{{Keys: []string{"a"}}, {}}}, "subset selector 2 has no keys"},
		{"selector with a key twice", Options{Subsets: []Selector{{Keys: []string{"a", "b", "a"}}}}, "subset selector 1 (a, b, a) names a key twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.o.Validate()
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("Validate: %v, want none", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("Validate: %v, want %q", err, tt.want)
			}
		})
	}
}

// What Validate refuses must not hang or crash a proxy that forgot to ask.
func TestSenselessOptionsAreSurvived(t *testing.T) {
	for p := range lastPolicy {
		o := Options{Policy: p, MaglevTable: 4, MinRingSize: -5, MaxRingSize: 3, Choices: -1, Overprovisioning: -2, LocalShare: 7, ZoneAware: true, MinZoneHosts: -1}
		s := NewSet(divided(weighted(1, -1, 3, 0, 2, 2, 2, 2)), &o, 3)
		picks(t, s, 100, nil)
	}
}

func TestNames(t *testing.T) {
	if got := PolicyPeakEWMA.String() + " " + Policy(77).String(); got != "peak_ewma unknown" {
		t.Error(got)
	}
	if got := FallbackAnyEndpoint.String() + " " + Fallback(77).String(); got != "any_endpoint unknown" {
		t.Error(got)
	}
	if got := Healthy.String() + Degraded.String() + Unhealthy.String() + Excluded.String() + Health(9).String(); got != "healthydegradedunhealthyexcludedunknown" {
		t.Error(got)
	}
	if got := (Panic | Failover | Repeated).String(); got != "panic,failover,repeated" {
		t.Error(got)
	}
}
