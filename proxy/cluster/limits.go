package cluster

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
)

// Limits are the circuit breakers of requests and retries; those of connections
// are the group's.
type Limits struct {
	// MaxRequests is how many requests may be under way, MaxRetries how many
	// retries; a retry policy with a budget has that instead.
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

// Enter counts a request; a fault of kind Overflow says that there are too many.
// Each that is let in leaves once.
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

// Leave is the end of a request that was let in.
func (c *Cluster) Leave() { c.limits.requests.Add(-1) }

// EnterRetry reports whether one more request may be retried: within the budget,
// or, if that is nil, the circuit breaker. Each retry that is let in leaves once.
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

// LeaveRetry is the end of a retry that was let in.
func (c *Cluster) LeaveRetry() { c.limits.retries.Add(-1) }
