package healthcheck

import "time"

// Health is what checks say of an endpoint.
type Health uint8

const (
	// Pending is not known: no probe has ended yet.
	Pending Health = iota
	// Healthy endpoints may have requests.
	Healthy
	// Degraded endpoints say of themselves that they are better spared.
	Degraded
	// Unhealthy endpoints are to have none.
	Unhealthy
)

// String is the health's name.
func (h Health) String() string {
	return [...]string{"pending", "healthy", "degraded", "unhealthy"}[h]
}

// Outcome is how a probe ended.
type Outcome uint8

const (
	// Passed is an answer as it should be.
	Passed Outcome = iota
	// PassedDegraded is one that says the endpoint is degraded: x-envoy-degraded.
	PassedDegraded
	// Failed counts toward the unhealthy threshold: no connection, no answer, no
	// sense in it, or a status that is retriable.
	Failed
	// FailedNow makes the endpoint unhealthy at once, as it says so itself: any
	// other status, a body without what is expected, x-envoy-immediate-health-check-fail,
	// and over gRPC any other answer than SERVING.
	FailedNow
	// NotMade is a probe that this machine had no means for, such as a descriptor: it
	// says nothing of the endpoint, and nothing changes.
	NotMade
)

// Result is what came of a probe.
type Result struct {
	Outcome Outcome
	// Detail says it in words, with the endpoint's address.
	Detail string
	// Took is how long the probe took.
	Took time.Duration
}

// Passed reports whether the endpoint was found well, or degraded.
func (r Result) Passed() bool { return r.Outcome == Passed || r.Outcome == PassedDegraded }

// Machine makes an endpoint's health of the results of one check. It has neither
// clock nor socket. Use [NewMachine].
type Machine struct {
	options *Options
	health  Health
	inARow  int // probes that speak for a change
}

// NewMachine returns the Machine of a check. Its errors are those of [New].
func NewMachine(o Options) (*Machine, error) {
	complete, err := o.complete()
	if err != nil {
		return nil, err
	}
	return &Machine{options: complete}, nil
}

// Next takes the result of a probe and returns the endpoint's health, whether that
// is a change, and the time until the next probe. Traffic says whether the
// cluster gets requests; random returns any 64 bits.
//
// The first result counts at once, whichever it is.
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

// wait is the time until the next probe. As in Envoy it goes by the last result,
// not by what came of it.
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

// jitter is a random time of less than most.
func jitter(most time.Duration, random func() uint64) time.Duration {
	if most <= 0 {
		return 0
	}
	return time.Duration(random() % uint64(most))
}
