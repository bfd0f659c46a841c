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
	Manual // ejected by hand
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
	// Ejected hosts get no more requests.
	Ejected Event = iota + 1
	// Unejected hosts may get requests again.
	Unejected
	// NotEnforced hosts were found to be outliers, but the enforcing percentage of the
	// reason spared them. Nothing changes.
	NotEnforced
	// Overflow hosts were found to be outliers, but too many hosts are ejected already:
	// Envoy's ejections_overflow. Nothing changes.
	Overflow
)

// String is the event's name.
func (e Event) String() string {
	return [...]string{"none", "ejected", "unejected", "not_enforced", "overflow"}[e]
}

// Change is something that happened to a host. The end of an ejection has the reason of
// that ejection.
type Change struct {
	Host   *Host
	Event  Event
	Reason Reason
	// Detail says why in words, for the log.
	Detail string
	// Until is when an ejection ends, 0 if it only ends by hand.
	Until time.Duration
}

// Eject ejects a host by hand, until [Detector.Uneject]. Neither time nor a health check
// ends this ejection, and no limit applies. It does not lengthen the host's next
// ejection. If the host is ejected already, that ejection becomes one by hand.
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

// Uneject ends a host's ejection, whatever its reason. It returns false if there is none.
func (d *Detector) Uneject(now time.Duration, h *Host) (c Change, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !h.ejected.Load() {
		return Change{}, false
	}
	return d.uneject(now, h, "restored by hand"), true
}

// Restore gives a host the ejection that State returned in an earlier process, unless the
// host is ejected. The ejection ends, and lengthens later ones, as it would have there.
// An unknown Reason is ignored.
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

// Passed is called when an active health check of the host passed and the host counts as
// healthy. It ends an ejection if the options say so and it was not by hand; else it
// returns false.
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
	// This is Envoy's condition: the multiplier grows one step beyond the longest
	// ejection, so a host must stay healthy for one more interval.
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

// uneject lets a host have requests again. It resets all counts; otherwise a few
// failures, or those from before the ejection, would eject the host again at once.
func (d *Detector) uneject(now time.Duration, h *Host, detail string) Change {
	h.forget()
	h.until, h.eased = now, now
	h.ejected.Store(false)
	return Change{Host: h, Event: Unejected, Reason: h.reason, Detail: detail}
}
