package config

import "time"

// AdaptiveConcurrency finds out how many requests of a route the service does well with, and
// sheds what is beyond (UO). It compares how long requests take until their response begins
// with how long they take while few are under way, and moves its limit by the ratio. It is
// not for routes whose requests take as long as their clients want, such as long polls.
// Formula and defaults are Envoy's.
type AdaptiveConcurrency struct {
	// Percentile of the times stands for all of them, in per cent.
	Percentile float64 `yaml:"percentile" default:"50" min:"0" max:"100"`
	// MaxConcurrency is the highest limit.
	MaxConcurrency int `yaml:"max_concurrency" default:"1000" min:"1"`
	// MinConcurrency is the lowest limit, and the one while the shortest time is measured.
	MinConcurrency int `yaml:"min_concurrency" default:"3" min:"1"`
	// UpdateInterval is how often the limit moves.
	UpdateInterval time.Duration `yaml:"update_interval" default:"100ms" min:"1ms"`
	// MinRTT says how the shortest time is measured.
	MinRTT MinRTT `yaml:"min_rtt"`
}

// MinRTT says how the shortest time is measured that requests take. It is measured at the
// start, again after each interval, and when the limit stays at its lowest.
type MinRTT struct {
	// Interval is how often it is measured.
	Interval time.Duration `yaml:"interval" default:"60s" min:"1s"`
	// Requests is how many requests it takes.
	Requests int `yaml:"requests" default:"50" min:"1"`
	// Jitter is by how much of the interval, in per cent, a measurement may come later, so
	// that not all proxies measure at once.
	Jitter float64 `yaml:"jitter" default:"15" min:"0" max:"100"`
	// Buffer is by how much, in per cent, requests may take longer before the limit falls.
	Buffer float64 `yaml:"buffer" default:"25" min:"0"`
	// Fixed is the shortest time in place of one that is measured; 0 is none.
	Fixed time.Duration `yaml:"fixed" default:"0s" min:"0"`
}

// NewAdaptiveConcurrency returns an adaptive limit with every default in place.
func NewAdaptiveConcurrency() *AdaptiveConcurrency {
	a := withDefaults[AdaptiveConcurrency]()
	return &a
}

// adaptive checks what spans the keys of an adaptive limit.
func (v validator) adaptive(p *place, a *AdaptiveConcurrency) {
	least, most := p.key("min_concurrency"), p.key("max_concurrency")
	if a != nil && a.MinConcurrency > a.MaxConcurrency && !least.failed && !most.failed {
		v.errs.add(least, "it is above max_concurrency, which is %d", a.MaxConcurrency)
	}
}
