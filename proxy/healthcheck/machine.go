package healthcheck

import "time"

// Health is an endpoint's health by its checks.
type Health uint8

const (
	// Pending endpoints have not been checked: no probe has ended yet.
	Pending Health = iota
	// Healthy endpoints may have requests.
	Healthy
	// Degraded endpoints ask for less traffic.
	Degraded
	// Unhealthy endpoints should get no requests.
	Unhealthy
)

// String is the health's name.
func (h Health) String() string {
	return [...]string{"pending", "healthy", "degraded", "unhealthy"}[h]
}

// Outcome is how a probe ended.
type Outcome uint8

const (
	// Passed is the expected answer.
	Passed Outcome = iota
	// PassedDegraded is the expected answer with x-envoy-degraded.
	PassedDegraded
	// Failed counts toward the unhealthy threshold: no connection, no answer, an invalid
	// answer, or a retriable status.
	Failed
	// FailedNow makes the endpoint unhealthy at once, since the endpoint itself says so:
	// any other status, a body without the expected text,
	// x-envoy-immediate-health-check-fail, or over gRPC any answer other than SERVING.
	FailedNow
	// NotMade is a probe that could not be made for lack of something on this machine,
	// such as a descriptor. It changes nothing.
	NotMade
)

// Result is the result of a probe.
type Result struct {
	Outcome Outcome
	// Detail says it in words, with the endpoint's address.
	Detail string
	// Took is how long the probe took.
	Took time.Duration
}

// Passed reports whether the endpoint is healthy or degraded by this probe.
func (r Result) Passed() bool { return r.Outcome == Passed || r.Outcome == PassedDegraded }

// Machine derives an endpoint's health from the results of one check. It has neither
// clock nor socket. Use [NewMachine].
type Machine struct {
	options *Options
	health  Health
	inARow  int // probes in favour of a change
}

// NewMachine returns the Machine of a check. Its errors are those of [New].
func NewMachine(o Options) (*Machine, error) {
	complete, err := o.complete()
	if err != nil {
		return nil, err
	}
	return &Machine{options: complete}, nil
}

// Next takes the result of a probe. It returns the endpoint's health, whether it changed,
// and the time until the next probe. Traffic says whether the cluster gets requests;
// random returns any 64 bits.
//
// The first result counts at once, good or bad.
func (m *Machine) Next(r Result, traffic bool, random func() uint64) (h Health, changed bool, wait time.Duration) {
	if r.Outcome == NotMade {
		return m.health, false, m.options.UnhealthyInterval + jitter(m.options.IntervalJitter, random)
	}
	before := m.health
	passed := r.Passed()
	if passed == (m.health == Healthy || m.health == Degraded) {
		m.inARow = 0
	} else {
		m.inARow++
	}
	switch {
	case passed && (m.health != Unhealthy || m.inARow >= m.options.HealthyThreshold):
		m.health, m.inARow = Healthy, 0
		if r.Outcome == PassedDegraded {
			m.health = Degraded
		}
	case !passed && (m.health == Pending || r.Outcome == FailedNow || m.inARow >= m.options.UnhealthyThreshold):
		m.health, m.inARow = Unhealthy, 0
	}
	return m.health, m.health != before, m.wait(passed, traffic, random)
}

// wait returns the time until the next probe. As in Envoy it depends on the last result,
// not on the health.
func (m *Machine) wait(passed, traffic bool, random func() uint64) time.Duration {
	o := m.options
	wait := o.Interval
	switch {
	case !traffic:
		wait = o.NoTrafficInterval
	case !passed:
		wait = o.UnhealthyInterval
	}
	return wait + jitter(o.IntervalJitter, random)
}

// jitter returns a random time below most.
func jitter(most time.Duration, random func() uint64) time.Duration {
	if most <= 0 {
		return 0
	}
	return time.Duration(random() % uint64(most))
}
