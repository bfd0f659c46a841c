package outlier

import (
	"fmt"
	"time"
)

// Reason is why a host is an outlier.
type Reason uint8

// The reasons.
const (
	None Reason = iota
	Consecutive5xx
	ConsecutiveGatewayFailure
	ConsecutiveLocalOriginFailure
	SuccessRate
	SuccessRateLocalOrigin
	FailurePercentage
	FailurePercentageLocalOrigin
	Manual // somebody said so
	reasons
)

// String is the reason's name, as in Envoy's counters.
func (r Reason) String() string {
	return [...]string{
		"none", "consecutive_5xx", "consecutive_gateway_failure", "consecutive_local_origin_failure",
		"success_rate", "local_origin_success_rate", "failure_percentage", "local_origin_failure_percentage",
		"manual",
	}[r]
}

// Event is what happened to a host.
type Event uint8

const (
	// Ejected hosts are to get no more requests.
	Ejected Event = iota + 1
	// Unejected hosts may get requests again.
	Unejected
	// NotEnforced hosts would have been ejected, but for the enforcing percentage
	// of the reason. Nothing changes.
	NotEnforced
	// Overflow hosts would have been ejected, but for the hosts that are ejected
	// already: Envoy's ejections_overflow. Nothing changes.
	Overflow
)

// String is the event's name.
func (e Event) String() string {
	return [...]string{"none", "ejected", "unejected", "not_enforced", "overflow"}[e]
}

// Change is one thing that happened to a host. One that ended an ejection has the
// reason of that ejection.
type Change struct {
	Host   *Host
	Event  Event
	Reason Reason
	// Detail says it in words, for the log.
	Detail string
	// Until is when an ejection ends, 0 if only by hand.
	Until time.Duration
}

// Eject ejects a host by hand, until [Detector.Uneject]: neither time nor a
// health check ends it, and no limit holds. It does not lengthen the host's next
// ejection. On a host that is ejected already it makes that one last.
func (d *Detector) Eject(now time.Duration, h *Host) Change {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !h.ejected.Load() {
		h.since = now
		h.times++
	}
	h.reason, h.detail, h.until = Manual, "ejected by hand", 0
	h.ejected.Store(true)
	return Change{Host: h, Event: Ejected, Reason: Manual, Detail: h.detail}
}

// Uneject ends an ejection by hand, whatever its reason; false if there is none.
func (d *Detector) Uneject(now time.Duration, h *Host) (c Change, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !h.ejected.Load() {
		return Change{}, false
	}
	return d.uneject(now, h, "restored by hand"), true
}

// Restore gives a host that is not ejected the ejection that State told of where it
// was before, in another process: that ends, and is followed by others, as it would
// have. A Reason that is none is ignored.
func (d *Detector) Restore(h *Host, s State) {
	if s.Reason == None || s.Reason >= reasons {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	h.reason, h.detail, h.since, h.until = s.Reason, s.Detail, s.Since, s.Until
	h.times, h.multiplier = s.Times, s.Multiplier
	h.ejected.Store(true)
}

// Passed is called when an active health check of the host passed and it counts
// as healthy. It ends an ejection, if the options say so and it was not by hand;
// otherwise it returns false.
func (d *Detector) Passed(now time.Duration, h *Host) (c Change, ok bool) {
	if !h.ejected.Load() || !d.options.SuccessfulActiveHealthCheckUnejectHost {
		return Change{}, false // nearly always: spare the lock
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !h.ejected.Load() || h.reason == Manual {
		return Change{}, false
	}
	return d.uneject(now, h, "an active health check passed"), true
}

// eject ejects a host for the reason.
func (d *Detector) eject(now time.Duration, h *Host, r Reason, detail string, random func() uint64) Change {
	o := &d.options
	// This is Envoy's condition: the multiplier goes one further than the longest
	// ejection needs, so a host must stay healthy for one more interval.
	if time.Duration(h.multiplier)*o.BaseEjectionTime < o.MaxEjectionTime+o.BaseEjectionTime {
		h.multiplier++
	}
	length := min(time.Duration(h.multiplier)*o.BaseEjectionTime, o.MaxEjectionTime)
	if o.MaxEjectionTimeJitter > 0 {
		length += time.Duration(random() % uint64(o.MaxEjectionTimeJitter+1))
	}
	h.reason, h.detail, h.since, h.until = r, detail, now, now+length
	h.times++
	h.ejected.Store(true)
	return Change{h, Ejected, r, fmt.Sprintf("%s, ejected for %s", detail, length), h.until}
}

// uneject lets a host have requests again. What was counted before counts no more,
// or a few failures, or those of before the ejection, would eject it at once.
func (d *Detector) uneject(now time.Duration, h *Host, detail string) Change {
	h.forget()
	h.until, h.eased = now, now
	h.ejected.Store(false)
	return Change{Host: h, Event: Unejected, Reason: h.reason, Detail: detail}
}
