package balance

import (
	"math"
	"sync/atomic"
	"time"
)

// The defaults of peak EWMA, which are Linkerd's.
const (
	// DefaultDecay is the time constant of the average: how fast a latency is forgotten.
	DefaultDecay = 10 * time.Second
	// DefaultRTT is the expected latency of an endpoint that has never answered.
	DefaultRTT = 30 * time.Millisecond
)

// Total counts the requests in flight to all endpoints of a cluster. Only bounded load
// needs it, for the average.
type Total struct{ active atomic.Int64 }

// Active is the number of requests in flight.
func (t *Total) Active() int64 { return t.active.Load() }

// Load is the present load of an endpoint. Each request calls [Load.Begin], [Load.Answer]
// and [Load.End]. It is safe for concurrent use and takes no lock. The zero value is an
// unused endpoint with [DefaultDecay] and no [Total]. All times are on one monotonic
// clock.
type Load struct {
	active  atomic.Int64
	waiting atomic.Uint64 // tickets of the requests that have no answer yet
	latency atomic.Uint64 // bits of a float64, nanoseconds; 0 before the first answer
	stamp   atomic.Int64  // when latency was last updated, nanoseconds
	decay   float64       // nanoseconds, 0 for the default
	total   *Total
	_       [16]byte // fills the cache line, so that endpoints do not slow each other
}

// NewLoad returns the Load of an unused endpoint. The weight of a latency falls to 1/e in
// decay (0 is [DefaultDecay]). total counts the requests of all the cluster's endpoints;
// it may be nil.
func NewLoad(decay time.Duration, total *Total) *Load {
	return &Load{decay: float64(max(decay, 0)), total: total}
}

// Begin says that a request goes to the endpoint now.
func (l *Load) Begin(now time.Duration) {
	if l.total != nil {
		l.total.active.Add(1)
	}
	l.active.Add(1)
	l.waiting.Add(ticket(now))
}

// Answer says that the request that began at began has the head of its response, or has
// failed. It is called once for each Begin, before or after End. A failure can raise the
// latency but never lowers it: a quick refusal is not a fast answer.
func (l *Load) Answer(began, now time.Duration, ok bool) {
	l.waiting.Add(-ticket(began))
	l.observe(now, now-began, ok)
}

// End says that a request is over. It is called once for each Begin.
func (l *Load) End() {
	l.active.Add(-1)
	if l.total != nil {
		l.total.active.Add(-1)
	}
}

// Active is the number of requests in flight.
func (l *Load) Active() int64 { return l.active.Load() }

// Latency is the endpoint's peak EWMA: it jumps to the slowest answer and then
// decays. It is 0 for an endpoint that has not answered yet.
func (l *Load) Latency(now time.Duration) time.Duration {
	return time.Duration(l.remembered(now))
}

// observe adds a latency to the average. Older latencies lose weight with the time since
// the last observation. The observer that moves the stamp owns that time, so concurrent
// observers do not count it twice.
func (l *Load) observe(now, took time.Duration, ok bool) {
	keep := l.claim(now)
	rtt := float64(max(took, 1))
	for {
		old := l.latency.Load()
		v := math.Float64frombits(old)
		switch {
		case old == 0 && !ok && rtt < float64(DefaultRTT):
			return // as little known as before
		case rtt > v:
			v = rtt
		case ok:
			v = v*keep + rtt*(1-keep)
		}
		if l.latency.CompareAndSwap(old, math.Float64bits(v)) {
			return
		}
	}
}

// claim moves the stamp to now, and returns the remaining weight of older latencies.
func (l *Load) claim(now time.Duration) (keep float64) {
	for {
		old := l.stamp.Load()
		if int64(now) <= old {
			return 1
		}
		if l.stamp.CompareAndSwap(old, int64(now)) {
			return l.fade(int64(now) - old)
		}
	}
}

func (l *Load) fade(elapsed int64) float64 {
	decay := l.decay
	if decay == 0 {
		decay = float64(DefaultDecay)
	}
	return math.Exp(-float64(elapsed) / decay)
}

// remembered returns the latency decayed until now, 0 if there never was one.
func (l *Load) remembered(now time.Duration) float64 {
	bits := l.latency.Load()
	if bits == 0 {
		return 0
	}
	return math.Float64frombits(bits) * l.fade(max(int64(now)-l.stamp.Load(), 0))
}

// expected returns how long the next answer may take, in nanoseconds: the remembered
// latency, or the mean wait of the unanswered requests so far, if that is longer. So it
// notices an endpoint that hangs before it answers.
func (l *Load) expected(now time.Duration, never float64) float64 {
	e := l.remembered(now)
	if e == 0 {
		e = never
	}
	if w := l.waiting.Load(); w&ticketCount != 0 {
		e = max(e, meanWait(w, now))
	}
	return e
}

// One word holds the waiting requests, so that one atomic addition updates their number
// and the sum of their start times together: the number in the low 20 bits, the sum
// above, in microseconds modulo 2^44. The total time that they have waited is then
// number*now - sum, modulo 2^44 as well, which is 200 days.
const (
	ticketBits  = 20
	ticketCount = 1<<ticketBits - 1
	waitSpan    = 1 << (64 - ticketBits)
)

func ticket(began time.Duration) uint64 { return uint64(began.Microseconds())<<ticketBits + 1 }

func meanWait(w uint64, now time.Duration) float64 {
	n := w & ticketCount
	sum := (n*uint64(now.Microseconds()) - w>>ticketBits) % waitSpan
	if sum >= waitSpan/2 { // negative: one began after this pick's now was read
		return 0
	}
	return float64(sum) / float64(n) * float64(time.Microsecond)
}
