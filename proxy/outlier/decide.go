package outlier

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Detector finds the outliers of one cluster. Use [New]. Its methods are safe for
// concurrent use.
type Detector struct {
	options Options
	width   time.Duration // of a bucket

	mu    sync.Mutex
	rated []rated // reused memory for the comparison of rates
}

// New returns a Detector.
func New(o Options) *Detector {
	o = o.complete()
	return &Detector{options: o, width: max(o.Interval/steps, 1)}
}

// NewHost returns the record of a new endpoint.
func (d *Detector) NewHost() *Host { return &Host{detector: d} }

// Every returns how often to call [Detector.Decide]: a tenth of the interval. Called once
// an interval, Decide does what Envoy does. Called more often, it finds an outlier by its
// rate as soon as the window shows it, and ends ejections on time.
func (d *Detector) Every() time.Duration { return d.width }

// Decide looks at all hosts of the cluster and returns the changes: ejections that end,
// new ejections, and outliers that are not ejected. Call it every [Detector.Every] and
// when [Host.Put] says so; now must not go back. random returns any 64 bits.
//
// An outlier that is not ejected is reported once an interval for each reason. Only then
// is the enforcing percentage drawn again.
func (d *Detector) Decide(now time.Duration, hosts []*Host, random func() uint64) []Change {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := sweep{Detector: d, now: now, hosts: len(hosts), random: random}
	s.end(hosts)
	s.rows(hosts)
	s.rates(hosts, origin{
		window: func(h *Host) *window { return &h.external }, of: "",
		success: SuccessRate, failure: FailurePercentage,
	})
	if d.options.SplitExternalLocalOriginErrors {
		s.rates(hosts, origin{
			window: func(h *Host) *window { return &h.local }, of: " of local origin",
			success: SuccessRateLocalOrigin, failure: FailurePercentageLocalOrigin,
		})
	}
	s.ease(hosts)
	return s.changes
}

// sweep is one call of Decide.
type sweep struct {
	*Detector
	now     time.Duration
	hosts   int // of the cluster
	ejected int // of them, so far
	random  func() uint64
	changes []Change
}

// end ends the ejections that have expired, and counts the others.
func (s *sweep) end(hosts []*Host) {
	for _, h := range hosts {
		switch {
		case !h.ejected.Load():
		case h.reason != Manual && h.until <= s.now:
			s.changes = append(s.changes, s.uneject(s.now, h, "its ejection time is over"))
		default:
			s.ejected++
		}
	}
}

// rows ejects hosts for failures in a row. Gateway failures come first: they count as
// failures too, and are more specific.
func (s *sweep) rows(hosts []*Host) {
	o := &s.options
	for _, h := range hosts {
		s.row(h, &h.rowGateway, o.ConsecutiveGatewayFailure, ConsecutiveGatewayFailure, "gateway failures")
		s.row(h, &h.row5xx, o.Consecutive5xx, Consecutive5xx, "failures")
		s.row(h, &h.rowLocal, o.ConsecutiveLocalOriginFailure, ConsecutiveLocalOriginFailure, "failures of local origin")
	}
}

// row checks one count of failures in a row. If the host is not ejected, the count starts
// again.
func (s *sweep) row(h *Host, row *atomic.Uint32, threshold int, r Reason, of string) {
	n := row.Load()
	if threshold <= 0 || n < uint32(threshold) || h.ejected.Load() {
		return
	}
	row.Store(0)
	s.outlier(h, r, fmt.Sprintf("%d %s in a row", n, of))
}

// outlier ejects a host if that is allowed. As in Envoy, max_ejection_percent comes
// before the enforcing percentage.
func (s *sweep) outlier(h *Host, r Reason, detail string) {
	switch {
	case s.ejected > 0 && 100*(s.ejected+1) > s.options.MaxEjectionPercent*s.hosts:
		s.changes = append(s.changes, Change{Host: h, Event: Overflow, Reason: r, Detail: fmt.Sprintf(
			"%s; not ejected because %d of %d endpoints are ejected already and at most %d %% may be", detail, s.ejected, s.hosts, s.options.MaxEjectionPercent)})
	case s.random()%100 >= uint64(max(s.options.enforcing(r), 0)):
		s.changes = append(s.changes, Change{Host: h, Event: NotEnforced, Reason: r, Detail: fmt.Sprintf(
			"%s; not ejected because this is enforced at %d %% only", detail, s.options.enforcing(r))})
	default:
		s.ejected++
		s.changes = append(s.changes, s.eject(s.now, h, r, detail, s.random))
		return
	}
	h.told[r] = told{s.now, true}
}

// ease shortens a host's next ejection by BaseEjectionTime for every interval in which it
// was healthy.
func (s *sweep) ease(hosts []*Host) {
	for _, h := range hosts {
		if h.multiplier == 0 || h.ejected.Load() {
			continue
		}
		n := max((s.now-h.eased)/s.options.Interval, 0)
		h.multiplier -= int(min(n, time.Duration(h.multiplier)))
		h.eased += n * s.options.Interval
	}
}
