package cluster

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
)

// Limits are the circuit breakers of requests and retries. Those of connections belong to
// the upstream.Group.
type Limits struct {
	// MaxRequests is how many requests may be under way, MaxRetries how many retries. A
	// retry policy with a budget uses that instead of MaxRetries.
	MaxRequests, MaxRetries int
}

// limits are what may be under way, and what is.
type limits struct {
	Limits
	*flow
}

// flow counts what is under way. It is one for a cluster and the one that comes in
// its place.
type flow struct {
	requests atomic.Int64
	retries  atomic.Int64
	// What was let through, and what was not.
	retried, refusedRequests, refusedRetries atomic.Uint64
}

// Enter lets a request in, or returns a fault of kind Overflow if too many are under way.
// Call [Cluster.Leave] for each that was let in.
func (c *Cluster) Enter() error {
	c.hasTraffic()
	l := &c.limits
	if n := l.requests.Add(1); n > int64(l.MaxRequests) {
		l.requests.Add(-1)
		l.refusedRequests.Add(1)
		return fault.New(fault.Overflow, fmt.Sprintf("cluster %s has %d requests under way, as many as its circuit breaker lets through; raise circuit_breaker.max_requests", c.Name, l.MaxRequests))
	}
	return nil
}

// Leave ends a request that Enter let in.
func (c *Cluster) Leave() { c.limits.requests.Add(-1) }

// EnterRetry lets a retry in, or returns false: by the budget, or by the circuit breaker if
// b is nil. Call [Cluster.LeaveRetry] for each that was let in.
func (c *Cluster) EnterRetry(b *Budget, now time.Duration) bool {
	l := &c.limits
	most := int64(l.MaxRetries)
	if b != nil {
		most = max(int64(b.Min), int64(b.Percent/100*float64(l.requests.Load())))
	}
	if l.retries.Add(1) > most || b != nil && !b.take(now) {
		l.retries.Add(-1)
		l.refusedRetries.Add(1)
		return false
	}
	l.retried.Add(1)
	return true
}

// LeaveRetry ends a retry that EnterRetry let in.
func (c *Cluster) LeaveRetry() { c.limits.retries.Add(-1) }
