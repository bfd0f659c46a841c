package outlier

import (
	"sync/atomic"
	"time"
)

// Result is how an attempt at a host ended.
type Result uint8

const (
	// Success is any answer but a 5xx; for a gRPC call, one whose status is no
	// error of the server; for TCP, a connection.
	Success Result = iota
	// Error5xx is a 5xx that is no GatewayError.
	Error5xx
	// GatewayError is 502, 503 or 504, by the host itself.
	GatewayError
	// LocalOrigin is a failure that the host did not answer with: it could not be
	// connected to, did not answer in time, or reset the connection.
	LocalOrigin
)

// Host is the record of one endpoint. It belongs to the endpoint, not to a list
// of them: keep it as long as the endpoint is in the cluster. Use
// [Detector.NewHost].
type Host struct {
	detector *Detector

	// Failures in a row: of any kind, or of external origin if they are split;
	// of gateway errors; of local origin, if they are split.
	row5xx, rowGateway, rowLocal atomic.Uint32
	external, local              window

	ejected atomic.Bool
	record  // guarded by detector.mu
}

// record is what has become of a host.
type record struct {
	reason       Reason        // of the ejection, or of the last one
	detail       string        // the same in words
	since, until time.Duration // of the ejection, or of the last one
	times        int           // ejections ever
	multiplier   int           // of BaseEjectionTime: ejections in a row
	eased        time.Duration // when the multiplier was last made less, or could have been
	told         [reasons]told // what was found and not enforced
}

// told is when something was found and not enforced.
type told struct {
	at time.Duration
	is bool
}

// Put notes how an attempt that ended now went. It is safe for concurrent use,
// takes no lock and allocates nothing. It reports true where so many failures in a
// row came together that the host may be an outlier: then call [Detector.Decide]
// soon.
func (h *Host) Put(now time.Duration, r Result) (look bool) {
	o := &h.detector.options
	bucket := number(now, h.detector.width)
	if o.SplitExternalLocalOriginErrors {
		if r == LocalOrigin {
			h.local.add(bucket, oneFailed)
			return reached(&h.rowLocal, o.ConsecutiveLocalOriginFailure)
		}
		h.local.add(bucket, 0) // it was reached, whatever it answered
		reset(&h.rowLocal)
	}
	if r == Success {
		h.external.add(bucket, 0)
		reset(&h.row5xx)
		reset(&h.rowGateway)
		return false
	}
	h.external.add(bucket, oneFailed)
	if r == Error5xx {
		reset(&h.rowGateway)
	} else {
		look = reached(&h.rowGateway, o.ConsecutiveGatewayFailure)
	}
	return reached(&h.row5xx, o.Consecutive5xx) || look
}

// reached counts one more, and reports whether that makes exactly n: so one of
// those who count at once looks, and not everyone after.
func reached(row *atomic.Uint32, n int) bool { return row.Add(1) == uint32(n) }

// reset spares a busy host's cache line a write where nothing failed.
func reset(row *atomic.Uint32) {
	if row.Load() != 0 {
		row.Store(0)
	}
}

// Ejected reports whether the host is ejected. It takes no lock.
func (h *Host) Ejected() bool { return h.ejected.Load() }

// State is what there is to say of a host.
type State struct {
	Ejected bool
	// Reason and Detail say why it is ejected, or was the last time.
	Reason Reason
	Detail string
	// Since and Until bound the ejection, or the last one; an Until of 0 is that
	// of one by hand, which lasts until it is ended by hand.
	Since, Until time.Duration
	// Times is how often it was ejected, and Multiplier how often in a row.
	Times, Multiplier int
	// Requests are those of the window, and Failures how many of them failed;
	// the others are those of local origin, and 0 unless they are split.
	Requests, Failures           int
	LocalRequests, LocalFailures int
}

// SuccessRate is the share of the window's requests that succeeded, in percent;
// false if there were none.
func (s State) SuccessRate() (percent float64, ok bool) {
	if s.Requests == 0 {
		return 0, false
	}
	return count{s.Requests, s.Failures}.rate(), true
}

// State tells about the host. It is safe for concurrent use.
func (h *Host) State(now time.Duration) State {
	bucket := number(now, h.detector.width)
	external, local := h.external.sum(bucket), h.local.sum(bucket)
	h.detector.mu.Lock()
	defer h.detector.mu.Unlock()
	return State{
		Ejected: h.ejected.Load(), Reason: h.reason, Detail: h.detail,
		Since: h.since, Until: h.until, Times: h.times, Multiplier: h.multiplier,
		Requests: external.total, Failures: external.failed,
		LocalRequests: local.total, LocalFailures: local.failed,
	}
}

// forget begins anew to count what the host does.
func (h *Host) forget() {
	h.row5xx.Store(0)
	h.rowGateway.Store(0)
	h.rowLocal.Store(0)
	h.external.clear()
	h.local.clear()
	h.told = [reasons]told{}
}
