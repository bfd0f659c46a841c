package cluster

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/healthcheck"
	"github.com/hopscope/hopscope/proxy/outlier"
	"github.com/hopscope/hopscope/proxy/upstream"
)

// Endpoint is one address of a cluster, with its pool, its load and its record. It stays
// the same as long as the address is in the cluster.
type Endpoint struct {
	*upstream.Endpoint // with the connections for requests of the default priority
	// Load is how busy it is.
	Load *balance.Load
	// Token stands for its address in cookies.
	Token uint64

	cluster   *Cluster
	pool      *pool
	inherited bool          // the cluster before had it, too
	cold      atomic.Bool   // it came up, and no request has begun since
	record    *outlier.Host // nil where none is ejected

	// Guarded by cluster.mu:
	given   discovery.Endpoint
	noted   discovery.Health      // that of given when it was last noted
	probe   *healthcheck.Endpoint // nil where none is checked
	check   healthcheck.Health
	why     string        // the last check's words
	pending bool          // it is checked, and no check has ended
	drained bool          // by hand
	byHand  bool          // ejected by hand
	warm    bool          // it has its full share when it is well
	since   time.Duration // when its slow start began; 0 before
}

// newEndpoint makes an endpoint. Those that come to an empty cluster are warm: there
// is no other to spare them.
func (c *Cluster) newEndpoint(given discovery.Endpoint) *Endpoint {
	pool := c.pools.endpoint(given.Address)
	e := &Endpoint{
		Endpoint: pool.Endpoint, Load: balance.NewLoad(c.options.Decay, c.total),
		Token:   balance.HashString(given.Address),
		cluster: c, pool: pool, given: given, warm: len(c.order) == 0,
	}
	if c.options.Before != nil {
		c.inherit(e)
	}
	if c.detector != nil && e.record == nil {
		e.record = c.detector.NewHost()
	}
	if c.options.Memory != nil {
		c.recollect(e)
	}
	if c.checker != nil {
		e.pending = true
		c.pending++
		e.probe = c.checker.Add(given.Address, func(r healthcheck.Report) { c.checked(e, r) })
	}
	return e
}

// Of is the endpoint with the connections for requests of a priority.
func (e *Endpoint) Of(p Priority) *upstream.Endpoint {
	if p == Default {
		return e.Endpoint
	}
	return e.cluster.pools.highOf(e.pool)
}

// Begin counts a request to the endpoint. first reports that it is the first since the
// endpoint is known to have come up: since its source named it, or it was well again, or
// [Endpoint.Down]. Times are those of netio.Shared.
func (e *Endpoint) Begin(now time.Duration) (first bool) {
	e.Load.Begin(now)
	return e.cold.Load() && e.cold.Swap(false)
}

// Down notes that nothing listens at the endpoint.
func (e *Endpoint) Down() { e.cold.Store(true) }

// Answer is called once for each Begin: when the head of the response has come, or the
// attempt has failed, which ok = false says.
func (e *Endpoint) Answer(began, now time.Duration, ok bool) { e.Load.Answer(began, now, ok) }

// End is called once for each Begin, when the attempt is over.
func (e *Endpoint) End() { e.Load.End() }

// Note tells outlier detection how an attempt went.
func (e *Endpoint) Note(now time.Duration, r outlier.Result) {
	if e.record != nil && e.record.Put(now, r) {
		e.cluster.wake()
	}
}

// health is what picking has to know of the endpoint, and why it is not healthy. An
// endpoint that its source calls down is not used in a panic either: a panic is for
// when the proxy's own checks may be wrong.
func (e *Endpoint) health() (h balance.Health, why string) {
	c := e.cluster
	switch {
	case e.drained:
		return balance.Excluded, "drained by hand"
	case e.given.Health == discovery.Draining:
		return balance.Excluded, "taken out of service in " + c.from() + e.said()
	case e.given.Health == discovery.Unhealthy:
		return balance.Excluded, "unhealthy in " + c.from() + e.said()
	case e.given.Weight == 0:
		return balance.Excluded, "of weight 0 in " + c.from()
	case e.byHand:
		return balance.Unhealthy, "ejected by hand"
	case e.record != nil && e.record.Ejected():
		return balance.Unhealthy, "ejected: " + e.record.State(c.shared.Now()).Detail
	case e.check == healthcheck.Unhealthy:
		return balance.Unhealthy, "unhealthy: " + e.why
	case e.pending && e.check == healthcheck.Pending:
		return balance.Unchecked, "not checked yet"
	case e.check == healthcheck.Degraded:
		return balance.Degraded, "degraded: " + e.why
	case e.given.Health == discovery.Degraded:
		return balance.Degraded, "degraded in " + c.from() + e.said()
	}
	return balance.Healthy, ""
}

// said quotes why the source calls the endpoint unwell, if it says.
func (e *Endpoint) said() string {
	if e.given.Why == "" {
		return ""
	}
	return " (" + e.given.Why + ")"
}

// weight is the endpoint's share, or a part of it during a slow start. warming reports that
// it grows with time.
func (e *Endpoint) weight(now time.Duration, h balance.Health) (w float64, warming bool) {
	w = float64(e.given.Weight)
	s := e.cluster.options.SlowStart
	switch {
	case s == nil:
		return w, false
	case h == balance.Unchecked, h == balance.Unhealthy && e.pending: // it has not begun yet
		return w, false
	case h == balance.Unhealthy || h == balance.Excluded: // it begins anew when it comes back
		e.warm, e.since = false, 0
		return w, false
	case e.warm:
		return w, false
	case e.since == 0:
		e.since = max(now, 1)
	}
	if now-e.since >= s.Window {
		e.warm = true
		return w, false
	}
	return w * balance.SlowStart(now-e.since, s.Window, s.Aggression, s.MinPercent), true
}

// String is the endpoint as people read it.
func (e *Endpoint) String() string { return fmt.Sprintf("%s of cluster %s", e.Address, e.cluster.Name) }
