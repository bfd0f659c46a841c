package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/healthcheck"
)

// state is what requests see of a cluster at one moment. It never changes.
type state struct {
	endpoints []*Endpoint // by their index in set
	set       *balance.Set
	missing   bool   // the source knows of no such service
	why       string // why there is nothing to pick, where there is nothing
}

// Pick chooses the endpoint for the next attempt.
func (c *Cluster) Pick(r *balance.Request) (*Endpoint, error) {
	s := c.state.Load()
	i, how := s.set.Pick(r)
	if how != 0 {
		c.counts.picked(how)
	}
	if i < 0 {
		return nil, c.nothing(s, how)
	}
	return s.endpoints[i], nil
}

// nothing is why there is no endpoint to pick.
func (c *Cluster) nothing(s *state, how balance.Outcome) error {
	switch {
	case s.missing:
		return fault.New(fault.NoCluster, fmt.Sprintf("cluster %s: %s", c.Name, s.why))
	case how&balance.SubsetFallback != 0:
		return fault.New(fault.NoHealthy, fmt.Sprintf("cluster %s has no endpoint in the subset that the route asks for", c.Name))
	}
	return fault.New(fault.NoHealthy, fmt.Sprintf("cluster %s %s", c.Name, s.why))
}

// Others reports whether there is an endpoint that may be picked besides those
// that were tried.
func (c *Cluster) Others(r *balance.Request) bool {
	i, how := c.state.Load().set.Pick(r)
	return i >= 0 && how&balance.Repeated == 0
}

// rebuild makes a new state of what is known; the caller holds the lock. It
// returns when the next one is due because of time alone, 0 for never.
func (c *Cluster) rebuild() (due time.Duration) {
	now := c.shared.Now()
	hosts := make([]balance.Host, len(c.order))
	s := &state{endpoints: c.order, missing: c.source.missing}
	var unwell []string
	for i, e := range c.order {
		h, why := e.health()
		w, warming := e.weight(now, h == balance.Healthy || h == balance.Degraded)
		hosts[i] = balance.Host{
			Key: e.Address, Weight: w, Priority: e.given.Priority, Zone: e.given.Locality.Zone,
			Health: h, Metadata: e.given.Metadata, Load: e.Load,
		}
		if warming {
			due = warmEvery(c.options.SlowStart.Window)
		}
		if why != "" && len(unwell) < mostNamed {
			unwell = append(unwell, e.Address+" is "+why)
		}
	}
	s.why = c.whyNothing(unwell)
	s.set = c.state.Load().set.Next(hosts, rand.Uint64())
	c.state.Store(s)
	return due
}

// mostNamed is how many endpoints an error tells of.
const mostNamed = 3

// whyNothing says in words why no endpoint can be picked, should that be so.
func (c *Cluster) whyNothing(unwell []string) string {
	n := len(c.order)
	switch {
	case c.source.missing:
		return "there is no such service in " + c.from()
	case n == 0 && c.source.err != nil:
		return "has no endpoint: " + c.source.err.Error()
	case n == 0 && !c.answered:
		return "has no endpoint yet: " + c.from() + " has not answered"
	case n == 0:
		return "has no endpoint"
	}
	more := ""
	if n > len(unwell) {
		more = " ..."
	}
	return fmt.Sprintf("has no endpoint that may be used, of %d: %s%s", n, strings.Join(unwell, ", "), more)
}

func (c *Cluster) from() string {
	if c.options.From == "" {
		return "the configuration"
	}
	return c.options.From
}

// warmEvery is how often weights grow during a slow start.
func warmEvery(window time.Duration) time.Duration {
	return min(max(window/20, 10*time.Millisecond), time.Second)
}

// keeps reports whether the cluster changes by itself, and not by its source alone.
func (c *Cluster) keeps() bool {
	return c.detector != nil || c.checker != nil || c.options.SlowStart != nil
}

// change asks the keeper for a new state, soon: what happens to many endpoints at
// once is one change.
func (c *Cluster) change() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// keep makes new states when something has changed, or time has.
func (c *Cluster) keep(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		c.mu.Lock()
		c.eject()
		due := c.rebuild()
		c.mu.Unlock()
		if c.detector != nil && (due == 0 || c.detector.Every() < due) {
			due = c.detector.Every()
		}
		if due == 0 {
			due = time.Hour
		}
		timer.Reset(due)
		select {
		case <-ctx.Done():
			return
		case <-c.changed:
		case <-timer.C:
		}
	}
}

// checked takes the result of a health check.
func (c *Cluster) checked(e *Endpoint, r healthcheck.Report) {
	c.mu.Lock()
	was := e.check
	e.check, e.why = r.Health, r.Detail
	if r.Result.Passed() && r.Health != healthcheck.Unhealthy && e.record != nil {
		if change, ok := c.detector.Passed(c.shared.Now(), e.record); ok {
			c.told(e, change)
			c.change()
		}
	}
	if was == healthcheck.Pending {
		c.checkReady()
	}
	c.mu.Unlock()
	if !r.Changed {
		return
	}
	level := slog.LevelInfo
	if r.Health == healthcheck.Unhealthy {
		level = slog.LevelWarn
	}
	c.log.Log(context.Background(), level, "endpoint is "+r.Health.String(), "cluster", c.Name, "endpoint", e.Address, "because", r.Detail)
	c.change()
}
