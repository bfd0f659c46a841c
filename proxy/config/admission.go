package config

import "time"

// AdmissionControl refuses a share of a route's requests (UO) while too few of them succeed,
// so that a service that has failed can come back. The chance of a request to be refused is
// ((n - s/t) / (n + 1))^(1/a) where n requests came in the window and s of them
// succeeded; t is success_rate_threshold, and a is aggression. Formula and defaults are Envoy's.
type AdmissionControl struct {
	// SamplingWindow is how far back requests count, in whole seconds.
	SamplingWindow time.Duration `yaml:"sampling_window" default:"30s" min:"1s"`
	// SuccessRateThreshold is the share of successes, in per cent, from which on no request
	// is refused.
	SuccessRateThreshold float64 `yaml:"success_rate_threshold" default:"95" min:"1" max:"100"`
	// Aggression is how steeply requests are refused below that; 1 is in proportion.
	Aggression float64 `yaml:"aggression" default:"1" min:"1"`
	// RPSThreshold is how many requests a second it takes for any to be refused.
	RPSThreshold float64 `yaml:"rps_threshold" default:"0" min:"0"`
	// MaxRejectionPercent is the share of requests that are refused at most. The others find
	// out whether the service is well again.
	MaxRejectionPercent float64 `yaml:"max_rejection_percent" default:"80" min:"0" max:"100"`
	// SuccessStatuses are the statuses of a success, single ones and ranges, such as 200 or
	// 200-299. Timeouts, and connections that fail, are none.
	SuccessStatuses []string `yaml:"success_statuses" default:"100-499" format:"statuses"`
	// SuccessGRPCStatuses are the statuses of a success of gRPC calls.
	SuccessGRPCStatuses []int `yaml:"success_grpc_statuses" default:"0,1,2,3,5,6,9,11,12,16" min:"0" max:"16"`
}

// NewAdmissionControl returns an admission control with every default in place.
func NewAdmissionControl() *AdmissionControl {
	a := withDefaults[AdmissionControl]()
	return &a
}
