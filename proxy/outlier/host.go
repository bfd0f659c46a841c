package outlier

import (
	"sync/atomic"
	"time"
)

// Result is how an attempt at a host ended.
type Result uint8

const (
	// Success is any answer but a 5xx; for gRPC, a status that is not a server error; for
	// TCP, a connection.
	Success Result = iota
	// Error5xx is a 5xx other than a GatewayError.
	Error5xx
	// GatewayError is a 502, 503 or 504 from the host itself.
	GatewayError
	// LocalOrigin is a failure without an answer: the connection failed, the host did not
	// answer in time, or it reset the connection.
	LocalOrigin
)

// Host is the record of one endpoint. Keep it as long as the endpoint is in the cluster,
// also when the list of endpoints changes. Use [Detector.NewHost].
type Host struct {
	detector *Detector

	// Failures in a row: of any kind, or of external origin if origins are split; gateway
	// errors; failures of local origin, if origins are split.
	row5xx, rowGateway, rowLocal atomic.Uint32
	external, local              window

	ejected atomic.Bool
	record  // guarded by detector.mu
}

// record is the history of a host's ejections.
type record struct {
	reason       Reason        // of the ejection, or of the last one
	detail       string        // the same in words
	since, until time.Duration // of the ejection, or of the last one
	times        int           // ejections ever
	multiplier   int           // of BaseEjectionTime: ejections in a row
	eased        time.Duration // when the multiplier was last lowered, or could have been
	told         [reasons]told // outliers that were found but not ejected
}

// told is when an outlier was found but not ejected.
type told struct {
	at time.Duration
	is bool
}

// Put records the result of an attempt that ended now. It is safe for concurrent use,
// takes no lock and allocates nothing. It returns true if failures in a row have reached
// a threshold: then call [Detector.Decide] soon.
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

// reached counts one more, and reports whether that makes exactly n. So only one of
// several concurrent callers gets true, and nobody after that.
func reached(row *atomic.Uint32, n int) bool { return row.Add(1) == uint32(n) }

// reset clears the count. It avoids a write to a busy host's cache line if the count is 0
// already.
func reset(row *atomic.Uint32) {
	if row.Load() != 0 {
		row.Store(0)
	}
}

// Ejected reports whether the host is ejected. It takes no lock.
func (h *Host) Ejected() bool { return h.ejected.Load() }

// State describes a host.
type State struct {
	Ejected bool
	// Reason and Detail say why it is ejected, or was last ejected.
	Reason Reason
	Detail string
	// Since and Until bound the ejection, or the last one. An Until of 0 means an
	// ejection by hand, which only ends by hand.
	Since, Until time.Duration
	// Times is how often the host was ejected, and Multiplier how often in a row.
	Times, Multiplier int
	// Requests counts the requests in the window, and Failures those that failed. The
	// other two count requests and failures by local origin; they are 0 unless origins
	// are split.
	Requests, Failures           int
	LocalRequests, LocalFailures int
}

// SuccessRate returns the share of the window's requests that succeeded, in percent;
// false if there were none.
func (s State) SuccessRate() (percent float64, ok bool) {
	if s.Requests == 0 {
		return 0, false
	}
	return count{s.Requests, s.Failures}.rate(), true
}

// State returns the host's state. It is safe for concurrent use.
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

// forget resets all counts.
func (h *Host) forget() {
	h.row5xx.Store(0)
	h.rowGateway.Store(0)
	h.rowLocal.Store(0)
	h.external.clear()
	h.local.clear()
	h.told = [reasons]told{}
}
