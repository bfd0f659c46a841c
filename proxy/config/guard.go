package config

import "time"

// Guard compares the canary of a split with the other targets, all of them together, and
// takes it back if it is worse for sure. It stays back until its route changes by a reload,
// or somebody resets it: POST /routes/NAME/guard/reset of the admin API.
type Guard struct {
	// Canary is the target that is watched: its variant, which is its cluster unless it has a
	// name of its own.
	Canary string `yaml:"canary" required:"true" format:"name"`
	// MinRequests is how many requests the canary, and the others, must have had in the
	// window.
	MinRequests int `yaml:"min_requests" default:"200" min:"10"`
	// MaxErrorRateOverStable is by how much the canary's share of failed requests may be above
	// that of the others: 0.02 is two of a hundred requests. 1 does not judge errors. Failed
	// are answers of 500 and above, gRPC statuses that are the server's fault, and requests
	// without an answer, but not those that the client gave up.
	MaxErrorRateOverStable float64 `yaml:"max_error_rate_over_stable" default:"0.02" min:"0" max:"1"`
	// MaxP99OverStable is how many times as long as that of the others the canary's 99th
	// percentile of durations may be. 0 does not judge durations. The others need about 1,040
	// requests in the window for it.
	MaxP99OverStable float64 `yaml:"max_p99_over_stable" default:"1.5" min:"0" max:"1000"`
	// Window is how far back requests count.
	Window time.Duration `yaml:"window" default:"5m" min:"10s"`
	// Then is the weight that the canary has once it is taken back.
	Then int `yaml:"then" default:"0" min:"0" max:"1000000"`
}

// NewGuard returns a guard of a canary with every default in place.
func NewGuard(canary string) *Guard {
	g := withDefaults[Guard]()
	g.Canary = canary
	return &g
}

// guard checks what spans the keys of a guard and its route.
func (v validator) guard(p *place, r *Route) {
	g, at := r.Guard, p.key("guard")
	switch {
	case g == nil || at.failed:
		return
	case len(r.Split) == 0:
		if !p.key("split").failed && r.Redirect == nil && r.Answer == nil {
			v.errs.add(at, "has no effect without split; add that, or remove the key")
		}
		return
	case r.Name == "":
		v.errs.add(at, "the route needs a name, by which its guard is reset")
	}
	canary, rest := -1, 0
	var names []string
	for i := range r.Split {
		names = append(names, r.Split[i].Name())
		if names[i] == g.Canary {
			canary = i
		} else {
			rest += r.Split[i].Weight
		}
	}
	switch {
	case p.key("split").failed || at.key("canary").failed || g.Canary == "":
	case canary < 0:
		v.errs.add(at.key("canary"), "there is no target %q%s", clip(g.Canary), v.errs.didYouMean(g.Canary, names))
	case rest == 0:
		v.errs.add(at.key("canary"), "no other target has a weight, with which the canary could be compared")
	case g.Then >= r.Split[canary].Weight && g.Then > 0:
		v.errs.add(at.key("then"), "expected less than the canary's weight, which is %d, found %d", r.Split[canary].Weight, g.Then)
	}
	if g.MaxErrorRateOverStable >= 1 && g.MaxP99OverStable == 0 {
		v.errs.add(at, "it judges nothing; expected max_error_rate_over_stable below 1, or max_p99_over_stable above 0")
	}
	if n := g.MaxP99OverStable; n > 0 && n < 1 {
		v.errs.add(at.key("max_p99_over_stable"), "expected 0 or a number of at least 1, found %v", n)
	}
}
