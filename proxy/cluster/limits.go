package cluster

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/upstream"
)

// Priority tells requests apart that have circuit breakers of their own, as Envoy's routing
// priority does. What the requests of one have under way, connections included, is counted
// apart from that of the other: ordinary requests that have used up what they may have hold
// up no important one. It is not the priority of an endpoint.
type Priority uint8

// Default is the priority of ordinary requests, High that of important ones.
const (
	Default Priority = iota
	High
)

// priorities is how many there are.
const priorities = 2

// String is the priority in the words of the configuration.
func (p Priority) String() string { return [priorities]string{"default", "high"}[p] }

// breaker is where the configuration has the limits of a priority.
func (p Priority) breaker() string {
	return [priorities]string{"circuit_breaker", "circuit_breaker.high"}[p]
}

// Limits are the circuit breaker of a priority.
type Limits struct {
	// MaxConnections is how many connections may be open, to all endpoints, and MaxPending
	// how many requests may wait for one.
	MaxConnections, MaxPending int
	// MaxRequests is how many requests may be under way, MaxRetries how many retries. A
	// retry policy with a budget uses that instead of MaxRetries.
	MaxRequests, MaxRetries int
}

// limits are what requests of a priority may have under way, and what they have.
type limits struct {
	Limits
	*flow
}

// flow counts what is under way. It is one for a cluster and the one that comes in
// its place.
type flow struct {
	requests atomic.Int64
	retries  atomic.Int64
	used     atomic.Bool // a request has come
	// What was let through, and what was not.
	retried, refusedRequests, refusedRetries atomic.Uint64
}

// Enter lets a request in, or returns a fault of kind Overflow if too many of its priority
// are under way. Call [Cluster.Leave] for each that was let in.
func (c *Cluster) Enter(p Priority) error {
	c.hasTraffic()
	l := &c.limits[p]
	if !l.used.Load() {
		l.used.Store(true)
	}
	if n := l.requests.Add(1); n > int64(l.MaxRequests) {
		l.requests.Add(-1)
		l.refusedRequests.Add(1)
		return fault.New(fault.Overflow, fmt.Sprintf("cluster %s has %d requests%s under way, as many as its circuit breaker lets through; raise %s.max_requests", c.Name, l.MaxRequests, p.of(), p.breaker()))
	}
	return nil
}

// of is what an error adds to the requests of a priority.
func (p Priority) of() string { return [priorities]string{"", " of high priority"}[p] }

// Leave ends a request that Enter let in.
func (c *Cluster) Leave(p Priority) { c.limits[p].requests.Add(-1) }

// EnterRetry lets a retry in, or returns false: by the budget, or by the circuit breaker of
// its priority if b is nil. Call [Cluster.LeaveRetry] for each that was let in.
func (c *Cluster) EnterRetry(p Priority, b *Budget, now time.Duration) bool {
	l := &c.limits[p]
	most := int64(l.MaxRetries)
	if b != nil {
		most = max(int64(b.Min), int64(b.Percent/100*float64(l.requests.Load())))
	}
	if l.retries.Add(1) > most || b != nil && !b.take(p, now) {
		l.retries.Add(-1)
		l.refusedRetries.Add(1)
		return false
	}
	l.retried.Add(1)
	return true
}

// LeaveRetry ends a retry that EnterRetry let in.
func (c *Cluster) LeaveRetry(p Priority) { c.limits[p].retries.Add(-1) }

// Connections are those of the requests of a priority.
func (c *Cluster) Connections(p Priority) *upstream.Group { return c.pools.groups[p] }

// Reclaim closes up to n pooled connections to free descriptors, and returns how many: see
// [upstream.Group.Reclaim].
func (c *Cluster) Reclaim(n int) (closed int) {
	for _, g := range c.pools.groups {
		closed += g.Reclaim(n - closed)
	}
	return closed
}
