package cluster

import (
	"cmp"
	"maps"
	"time"

	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/telemetry/redact"
)

// Status is what there is to say about a cluster, for people.
type Status struct {
	Name   string       `json:"name"`
	Policy string       `json:"policy"`
	Source SourceStatus `json:"source"`
	// Requests and Retries are under way; those refused were by a circuit breaker
	// or a budget. All are of the default priority.
	Requests        int64            `json:"requests_active"`
	Retries         int64            `json:"retries_active"`
	Retried         uint64           `json:"retries_total"`
	RefusedRequests uint64           `json:"requests_refused_total"`
	RefusedRetries  uint64           `json:"retries_refused_total"`
	Endpoints       []EndpointStatus `json:"endpoints"`
}

// SourceStatus is what there is to say about where endpoints come from.
type SourceStatus struct {
	From    string     `json:"from"`
	Missing bool       `json:"missing"`
	Stale   bool       `json:"stale"`
	Since   *time.Time `json:"stale_since,omitempty"`
	// Known is false while the source has never answered. Remembered is true while
	// what is known was said before the source was asked here: to another process, or
	// before the settings changed.
	Known      bool       `json:"known"`
	Remembered bool       `json:"remembered"`
	Error      string     `json:"error,omitempty"`
	Updated    *time.Time `json:"updated,omitempty"`
	Updates    uint64     `json:"updates_total"`
	Errors     uint64     `json:"errors_total"`
}

// EndpointStatus is what there is to say about an endpoint.
type EndpointStatus struct {
	Address  string            `json:"address"`
	Weight   float64           `json:"weight"`
	Priority int               `json:"priority"`
	Region   string            `json:"region,omitempty"`
	Zone     string            `json:"zone,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
	// Health is "healthy", "degraded", "unchecked", which is used while no other is
	// well, "unhealthy", which is used in a panic alone, or "excluded", which is not
	// used at all. Why says why it is not the first; Check is the last health check's
	// words.
	Health string `json:"health"`
	Why    string `json:"why,omitempty"`
	Check  string `json:"check,omitempty"`
	// Ejected says whether it is ejected as an outlier, until when, and how
	// often it was.
	Ejected   bool       `json:"ejected"`
	Until     *time.Time `json:"ejected_until,omitempty"`
	Ejections int        `json:"ejections_total"`
	// Active are the requests under way, LatencyMS their peak EWMA.
	Active    int64   `json:"requests_active"`
	LatencyMS float64 `json:"latency_ewma_ms"`
	// SuccessPercent is of the requests in the outlier detection's window.
	SuccessPercent    *float64 `json:"success_percent,omitempty"`
	ActiveConnections int      `json:"connections_active"`
	IdleConnections   int      `json:"connections_idle"`
	// ClosesIdleMS is after how long it closes idle connections, as the pool has learned.
	ClosesIdleMS float64 `json:"closes_idle_after_ms,omitempty"`
}

// Status returns what there is to say about the cluster now.
func (c *Cluster) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, now := c.Traffic(Default), c.shared.Now()
	s := Status{
		Name: c.Name, Policy: c.options.Balance.Policy.String(), Source: c.sourceStatus(),
		Requests: t.Requests, Retries: t.Retries, Retried: t.Retried,
		RefusedRequests: t.RefusedRequests, RefusedRetries: t.RefusedRetries,
		Endpoints: []EndpointStatus{},
	}
	hosts := c.state.Load().set.Hosts()
	for i, e := range c.order {
		s.Endpoints = append(s.Endpoints, e.status(now, &hosts[i]))
	}
	return s
}

func (c *Cluster) sourceStatus() SourceStatus {
	s := SourceStatus{
		Known: c.options.Source == nil || !c.source.known.IsZero(), Remembered: c.source.recalled,
		From: c.from(), Missing: c.source.missing, Stale: c.source.err != nil, Updates: c.source.updates, Errors: c.source.errs,
	}
	if s.Stale {
		since := c.source.since.UTC() // not the one that the lock guards
		s.Error, s.Since = redact.Text(c.source.err.Error()), &since
	}
	if !c.source.updated.IsZero() {
		updated := c.source.updated.UTC()
		s.Updated = &updated
	}
	return s
}

func (e *Endpoint) status(now time.Duration, host *balance.Host) EndpointStatus {
	_, why := e.health()
	pool := e.State()
	if high := e.pool.high.Load(); high != nil {
		s := high.State()
		pool.Active, pool.Idle, pool.ClosesAfter = pool.Active+s.Active, pool.Idle+s.Idle, cmp.Or(pool.ClosesAfter, s.ClosesAfter)
	}
	s := EndpointStatus{
		Address: e.Address, Weight: host.Weight, Priority: e.given.Priority, Region: e.given.Locality.Region, Zone: e.given.Locality.Zone,
		Metadata: shown(e.given.Metadata), Health: host.Health.String(), Why: why, Check: redact.Text(e.why),
		Active: e.Load.Active(), LatencyMS: float64(e.Load.Latency(now).Microseconds()) / 1000,
		ActiveConnections: pool.Active, IdleConnections: pool.Idle,
		ClosesIdleMS: float64(pool.ClosesAfter.Microseconds()) / 1000,
	}
	if e.record == nil {
		return s
	}
	r := e.record.State(now)
	s.Ejected, s.Ejections = r.Ejected, r.Times
	if r.Ejected && r.Until > 0 {
		until := time.Now().Add(r.Until - now).UTC()
		s.Until = &until
	}
	if percent, ok := r.SuccessRate(); ok {
		s.SuccessPercent = &percent
	}
	return s
}

// Healths returns how many endpoints have each health, and how many are ejected.
func (c *Cluster) Healths() (by map[string]int, ejected int) {
	by = map[string]int{}
	for h := balance.Healthy; h <= balance.Excluded; h++ {
		by[h.String()] = 0
	}
	s := c.state.Load()
	for i, host := range s.set.Hosts() {
		by[host.Health.String()]++
		if e := s.endpoints[i]; e.record != nil && e.record.Ejected() {
			ejected++
		}
	}
	return by, ejected
}

// Panics reports whether too few endpoints are available, so that those that are not well
// are used too.
func (c *Cluster) Panics() bool { return c.state.Load().set.Panics() }

// Limits returns the circuit breaker of a priority.
func (c *Cluster) Limits(p Priority) Limits { return c.limits[p].Limits }

// Priorities calls emit with the default priority, and with the high one if a request of
// that has come.
func (c *Cluster) Priorities(emit func(Priority)) {
	emit(Default)
	if c.limits[High].used.Load() {
		emit(High)
	}
}

// SourceStatus returns what there is to say about the source of the endpoints.
func (c *Cluster) SourceStatus() SourceStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sourceStatus()
}

// Unknown returns why nothing is known of the endpoints, "" if something is.
func (c *Cluster) Unknown() string {
	if s := c.state.Load(); s.unknown {
		return s.why
	}
	return ""
}

// Traffic is what requests of a priority have under way, and what was refused.
type Traffic struct {
	Requests, Retries                        int64
	Retried, RefusedRequests, RefusedRetries uint64
}

// Traffic returns what requests of a priority have under way.
func (c *Cluster) Traffic(p Priority) Traffic {
	l := &c.limits[p]
	return Traffic{l.requests.Load(), l.retries.Load(), l.retried.Load(), l.refusedRequests.Load(), l.refusedRetries.Load()}
}

// shown is metadata for people: values whose names are those of credentials are
// hidden.
func shown(metadata map[string]string) map[string]string {
	var hidden map[string]string
	for name, value := range metadata {
		text := redact.Text(value)
		if redact.Names(name) {
			text = redact.Mark
		}
		if text == value {
			continue
		}
		if hidden == nil {
			hidden = maps.Clone(metadata)
		}
		hidden[name] = text
	}
	if hidden != nil {
		return hidden
	}
	return metadata
}
