package cluster

import (
	"context"
	"log/slog"

	"github.com/hopscope/hopscope/proxy/healthcheck"
	"github.com/hopscope/hopscope/telemetry/events"
)

// checked takes the result of a health check.
func (c *Cluster) checked(e *Endpoint, r healthcheck.Report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.endpoints[e.Address] != e {
		return // it left while it was asked
	}
	well := r.Health == healthcheck.Healthy || r.Health == healthcheck.Degraded
	if well && e.check == healthcheck.Unhealthy {
		e.cold.Store(true)
	}
	e.check, e.why = r.Health, r.Detail
	if well && r.Result.Passed() && e.record != nil {
		if change, ok := c.detector.Passed(c.shared.Now(), e.record); ok {
			c.told(e, change)
			c.outdated = true
		}
	}
	if r.Changed {
		c.logCheck(e, r)
		c.outdated = true
	}
	if e.pending && r.Health != healthcheck.Pending {
		c.settle(e)
		if c.pending == 0 {
			c.renew() // Ready waits for this one
		}
	}
	if c.outdated {
		c.wake()
	}
}

// healths are what the results of checks are as events.
var healths = map[healthcheck.Health]events.Kind{
	healthcheck.Healthy: events.EndpointHealthy, healthcheck.Degraded: events.EndpointDegraded, healthcheck.Unhealthy: events.EndpointUnhealthy,
}

// logCheck logs and notes that an endpoint became healthy or unhealthy. What it is at the start is no
// news.
func (c *Cluster) logCheck(e *Endpoint, r healthcheck.Report) {
	level := slog.LevelInfo
	switch {
	case r.Health == healthcheck.Unhealthy:
		level = slog.LevelWarn
	case e.pending && r.Health == healthcheck.Healthy:
		level = slog.LevelDebug
	}
	c.log.Log(context.Background(), level, "endpoint is "+r.Health.String(), "cluster", c.Name, "endpoint", e.Address, "because", r.Detail)
	if kind, ok := healths[r.Health]; ok && level != slog.LevelDebug {
		c.options.Note(kind, e.Address, e.String()+" is "+r.Health.String()+": "+r.Detail)
	}
}

// Used reports whether a request has come to the cluster.
func (c *Cluster) Used() bool { return c.used.Load() }

// hasTraffic tells the checks that requests come, with the first of them: until
// then they are made seldom.
func (c *Cluster) hasTraffic() {
	if !c.used.Load() && !c.used.Swap(true) && c.checker != nil {
		c.checker.SetTraffic(true)
	}
}
