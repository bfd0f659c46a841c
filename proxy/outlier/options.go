package outlier

import "time"

// Options are a Detector's settings. The zero Options stand for [Defaults]. If any field
// is set, all are taken as they are, so start from Defaults and change some. Each field
// is named as in Envoy's OutlierDetection.
//
// The fields that begin with Enforcing are the probability, in percent, that such an
// outlier is ejected. At 0 it is only reported.
type Options struct {
	// Interval is the length of the window for rates. It is also how long a host must
	// stay healthy until its next ejection becomes shorter again. 10 s if it is not
	// positive.
	Interval time.Duration
	// An ejection lasts BaseEjectionTime times the number of ejections in a row; default
	// is 30 s, also if it is not positive. MaxEjectionTime is the maximum; default is 300
	// s, or BaseEjectionTime if that is longer.
	BaseEjectionTime, MaxEjectionTime time.Duration
	// MaxEjectionTimeJitter is the maximum random time added to an ejection, so that not
	// all proxies try the host at the same moment; default is 0.
	MaxEjectionTimeJitter time.Duration
	// MaxEjectionPercent is the share of hosts that may be ejected at once, in percent;
	// default is 10. One host always may: always_eject_one_host.
	MaxEjectionPercent int

	// Consecutive5xx is how many failures in a row eject a host; default is 5, enforced
	// at 100. 0 is never, as for the other numbers in a row.
	Consecutive5xx, EnforcingConsecutive5xx int
	// ConsecutiveGatewayFailure counts 502, 503 and 504 and, unless origins are split,
	// failures of local origin; default is 5, enforced at 0.
	ConsecutiveGatewayFailure, EnforcingConsecutiveGatewayFailure int

	// SplitExternalLocalOriginErrors counts failures without an answer separately from
	// errors that the host answered with.
	SplitExternalLocalOriginErrors bool
	// ConsecutiveLocalOriginFailure counts failures of local origin, if origins are
	// split; default is 5, enforced at 100.
	ConsecutiveLocalOriginFailure, EnforcingConsecutiveLocalOriginFailure int

	// A host is ejected if its success rate is below mean - factor * standard
	// deviation of those hosts that had SuccessRateRequestVolume requests
	// (default 100) in the window. There must be SuccessRateMinimumHosts of them
	// (default 5). SuccessRateStdevFactor is the factor itself, not a thousand
	// times that as in Envoy; default is 1.9.
	SuccessRateMinimumHosts, SuccessRateRequestVolume int
	SuccessRateStdevFactor                            float64
	// Default is 100 for both.
	EnforcingSuccessRate, EnforcingLocalOriginSuccessRate int

	// A host is ejected if FailurePercentageThreshold percent of its requests or more
	// failed (default 85). The host must have had FailurePercentageRequestVolume requests
	// in the window (default 50), and so must FailurePercentageMinimumHosts hosts
	// (default 5).
	FailurePercentageThreshold                                    int
	FailurePercentageMinimumHosts, FailurePercentageRequestVolume int
	// Default is 0 for both.
	EnforcingFailurePercentage, EnforcingFailurePercentageLocalOrigin int

	// SuccessfulActiveHealthCheckUnejectHost ends an ejection when an active
	// health check passes; default is true.
	SuccessfulActiveHealthCheckUnejectHost bool
}

// Defaults are Envoy's.
func Defaults() Options {
	return Options{
		Interval:           10 * time.Second,
		BaseEjectionTime:   30 * time.Second,
		MaxEjectionTime:    300 * time.Second,
		MaxEjectionPercent: 10,

		Consecutive5xx: 5, EnforcingConsecutive5xx: 100,
		ConsecutiveGatewayFailure: 5, EnforcingConsecutiveGatewayFailure: 0,
		ConsecutiveLocalOriginFailure: 5, EnforcingConsecutiveLocalOriginFailure: 100,

		SuccessRateMinimumHosts: 5, SuccessRateRequestVolume: 100, SuccessRateStdevFactor: 1.9,
		EnforcingSuccessRate: 100, EnforcingLocalOriginSuccessRate: 100,

		FailurePercentageThreshold: 85, FailurePercentageMinimumHosts: 5, FailurePercentageRequestVolume: 50,
		EnforcingFailurePercentage: 0, EnforcingFailurePercentageLocalOrigin: 0,

		SuccessfulActiveHealthCheckUnejectHost: true,
	}
}

// complete sets defaults where zero has no meaning.
func (o Options) complete() Options {
	defaults := Defaults()
	if o == (Options{}) {
		return defaults
	}
	if o.Interval <= 0 {
		o.Interval = defaults.Interval
	}
	if o.BaseEjectionTime <= 0 {
		o.BaseEjectionTime = defaults.BaseEjectionTime
	}
	if o.MaxEjectionTime <= 0 {
		o.MaxEjectionTime = defaults.MaxEjectionTime
	}
	o.MaxEjectionTime = max(o.MaxEjectionTime, o.BaseEjectionTime)
	return o
}

// enforcing returns the probability, in percent, that an outlier of this kind is ejected.
func (o *Options) enforcing(r Reason) int {
	switch r {
	case Consecutive5xx:
		return o.EnforcingConsecutive5xx
	case ConsecutiveGatewayFailure:
		return o.EnforcingConsecutiveGatewayFailure
	case ConsecutiveLocalOriginFailure:
		return o.EnforcingConsecutiveLocalOriginFailure
	case SuccessRate:
		return o.EnforcingSuccessRate
	case SuccessRateLocalOrigin:
		return o.EnforcingLocalOriginSuccessRate
	case FailurePercentage:
		return o.EnforcingFailurePercentage
	case FailurePercentageLocalOrigin:
		return o.EnforcingFailurePercentageLocalOrigin
	}
	return 0
}
