package cluster

import (
	"reflect"
	"time"

	"github.com/hopscope/hopscope/proxy/balance"
)

// A cluster whose settings change is made anew beside the one there was, which goes
// on until the new one is warm. What does not depend on what changed is the same in
// both: the connections, what is under way, how fast the endpoints are, and which
// of them are ejected.

// takeOver makes the cluster share with the one before it what is the same in both.
func (c *Cluster) takeOver(before *Cluster) {
	c.counts = before.counts
	for p := range c.limits {
		c.limits[p].flow = before.limits[p].flow
	}
	if samePools(c, before) {
		c.pools = before.pools.share()
	}
	if c.options.Decay == before.options.Decay {
		c.total = before.total
	}
	if o := c.options.Outlier; o != nil && reflect.DeepEqual(o, before.options.Outlier) {
		c.detector = before.detector
	}
	c.naming.Store(before.naming.Load())
	if before.used.Load() {
		c.hasTraffic()
	}
	before.mu.Lock()
	defer before.mu.Unlock()
	before.next = c
	c.source.updates, c.source.errs = before.source.updates, before.source.errs
}

// samePools reports whether two clusters make and keep connections in the same way.
func samePools(a, b *Cluster) bool {
	for p := range a.limits {
		l, m := &a.limits[p], &b.limits[p]
		if l.MaxConnections != m.MaxConnections || l.MaxPending != m.MaxPending {
			return false
		}
	}
	one, other := a.options.Upstream, b.options.Upstream
	if one.TLS != other.TLS {
		return false // it has files, and a state
	}
	one.TLS, other.TLS = nil, nil
	one.Dial, other.Dial = nil, nil // all clusters of a proxy dial alike; a func equals none
	return reflect.DeepEqual(one, other)
}

// inherit gives a new endpoint what the cluster before knows of the same address.
func (c *Cluster) inherit(e *Endpoint) {
	before := c.options.Before
	before.mu.Lock()
	defer before.mu.Unlock()
	old := before.endpoints[e.Address]
	if old == nil {
		e.warm = e.warm && len(before.order) == 0
		return
	}
	e.inherited = true
	e.drained, e.byHand, e.noted = old.drained, old.byHand, old.noted
	if e.warm = old.warm || before.options.SlowStart == nil; !e.warm {
		e.since = old.since
	}
	if c.total == before.total {
		e.Load = old.Load
	} else {
		now := c.shared.Now()
		remember(e.Load, old.Load.Latency(now), now)
	}
	if c.detector != nil && c.detector == before.detector {
		e.record = old.record
	}
	if c.options.SameChecks {
		e.check, e.why = old.check, old.why
	}
}

// remember makes a Load begin with a latency that was found before.
func remember(l *balance.Load, latency, now time.Duration) {
	if latency == 0 {
		return
	}
	l.Begin(now - latency)
	l.Answer(now-latency, now, true)
	l.End()
}

// succeed is called when the cluster before has been closed: what was done to its
// endpoints in the meantime is taken over, and then it is forgotten.
func (c *Cluster) succeed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.options.Before
	if before == nil {
		return
	}
	before.mu.Lock()
	for address, old := range before.endpoints {
		if e := c.endpoints[address]; e != nil {
			e.drained, e.byHand = old.drained, old.byHand
		}
	}
	before.mu.Unlock()
	c.options.Before = nil
	if !c.closed {
		c.renew()
	}
}
