package config

import "time"

// Shed is the answer to requests that a limit of the route does not let through.
type Shed struct {
	// Status is 503, or 429, which some clients take better. gRPC calls get UNAVAILABLE (14).
	Status int `yaml:"status" default:"503" min:"429" max:"503"`
	// RetryAfter is after how long a client may try again: Retry-After, in whole seconds
	// and at least 1, and grpc-retry-pushback-ms for gRPC calls. With 0 they are not told.
	RetryAfter time.Duration `yaml:"retry_after" default:"1s" min:"0"`
}

// NewShed returns the answer of routes that have no "shed".
func NewShed() *Shed {
	s := withDefaults[Shed]()
	return &s
}

// Limits reports whether the policies have a limit, and so may shed requests.
func (r *RoutePolicies) Limits() bool {
	return r.MaxRequests > 0 || r.AdaptiveConcurrency != nil || r.AdmissionControl != nil
}

// limits checks what spans the keys of a route's limits.
func (v validator) limits(p *place, r *RoutePolicies) {
	v.adaptive(p.key("adaptive_concurrency"), r.AdaptiveConcurrency)
	if q := p.key("queue"); r.Queue != nil && r.MaxRequests == 0 && r.AdaptiveConcurrency == nil && !q.failed {
		v.errs.add(q, "has no effect, as the route does not bound its requests; set max_requests or adaptive_concurrency, or remove the key")
	}
	if s := r.Shed; s != nil {
		at := p.key("shed")
		if status := at.key("status"); s.Status > 429 && s.Status < 503 && !status.failed {
			v.errs.add(status, "expected 503 or 429, found %d", s.Status)
		}
		if !r.Limits() && !at.failed {
			v.errs.add(at, "has no effect, as the route has no limit; set max_requests, adaptive_concurrency or admission_control, or remove the key")
		}
	}
}
