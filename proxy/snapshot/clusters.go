package snapshot

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/forward"
	"github.com/hopscope/hopscope/proxy/healthcheck"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/outlier"
	"github.com/hopscope/hopscope/proxy/tlsconf"
	"github.com/hopscope/hopscope/proxy/upstream"
)

// newCluster is what a cluster is made of.
type newCluster struct {
	name   string
	config *config.Cluster
	client *tlsconf.Client // nil for no TLS
	// source delivers the endpoints; nil is where the configuration says.
	source discovery.Source
	known  *discovery.Known // what its source said before, if that is known
	// before is the cluster in whose place it comes, and its configuration; nil for
	// none.
	before       *cluster.Cluster
	beforeConfig *config.Cluster
}

// newCluster makes a cluster.
func (g *generation) newCluster(n *newCluster) (_ *cluster.Cluster, err error) {
	name, c, client := n.name, n.config, n.client
	o := cluster.Options{
		Before: n.before, Known: n.known, Memory: g.memory.cluster(name),
		Upstream: upstream.Options{
			ConnectTimeout: c.ConnectTimeout, IdleTimeout: c.IdleTimeout,
			MaxConnections: c.CircuitBreaker.MaxConnections, MaxPending: c.CircuitBreaker.MaxPending, MaxIdle: c.MaxIdle,
			Head:     http1.Limits{HeadBytes: c.MaxHeaderBytes, Fields: c.MaxHeaderFields},
			Dial:     g.dial,
			Protocol: protocol(c.Protocol), HTTP2: http2Options(&c.HTTP2, c.MaxHeaderBytes, c.MaxHeaderFields), TLS: client,
		},
		Balance: g.balanceOptions(&c.Balance), Decay: c.Balance.Decay,
		Limits: cluster.Limits{MaxRequests: c.CircuitBreaker.MaxRequests, MaxRetries: c.CircuitBreaker.MaxRetries},
		Log:    g.options.Log,
	}
	if s := c.Balance.SlowStart; s != nil {
		o.SlowStart = &cluster.SlowStart{Window: s.Window, Aggression: s.Aggression, MinPercent: s.MinPercent}
	}
	if c.Outlier != nil {
		o.Outlier = outlierOptions(c.Outlier)
	}
	if o.Source, o.From, o.Fed = n.source, "the catalogue", true; n.source == nil {
		o.Fed = false
		if o.Source, o.From, err = g.agents.source(g.config, c, n.known); err != nil {
			return nil, fmt.Errorf("cluster %s: %w", name, err)
		}
	}
	if len(c.HealthChecks) > 0 {
		var config healthcheck.TLSConfig
		if client != nil {
			config = func(host string) *tls.Config { return client.Config(host) }
		}
		if o.Checker, err = healthcheck.New(healthChecks(c.HealthChecks), config); err != nil {
			return nil, fmt.Errorf("cluster %s: health_checks: %w", name, err)
		}
		o.SameChecks = n.beforeConfig != nil && reflect.DeepEqual(n.beforeConfig.HealthChecks, c.HealthChecks)
	}
	return cluster.New(name, staticEndpoints(c), o, g.shared), nil
}

// staticEndpoints are those that the configuration itself names.
func staticEndpoints(c *config.Cluster) []discovery.Endpoint {
	var all []discovery.Endpoint
	for _, address := range c.Endpoints {
		all = append(all, discovery.Endpoint{Address: address, Weight: 1})
	}
	for _, e := range c.Static {
		all = append(all, discovery.Endpoint{
			Address: e.Address, Weight: e.Weight, Priority: e.Priority,
			Locality: discovery.Locality{Region: e.Region, Zone: e.Zone}, Metadata: e.Metadata,
		})
	}
	return all
}

func (g *generation) balanceOptions(b *config.Balance) balance.Options {
	o := balance.Options{
		Policy: policies[b.Policy], Choices: b.Choices, Bias: b.ActiveRequestBias,
		MinRingSize: b.MinRingSize, MaxRingSize: b.MaxRingSize, MaglevTable: b.TableSize, BoundedLoad: b.BoundedLoad,
		DefaultRTT: b.DefaultRTT, PanicThreshold: b.PanicThreshold, Overprovisioning: b.Overprovisioning,
		ZoneAware: b.ZoneAware, Zone: g.config.Locality.Zone, MinZoneHosts: b.MinZoneEndpoints,
	}
	if s := b.Subsets; s != nil {
		for _, selector := range s.Selectors {
			o.Subsets = append(o.Subsets, balance.Selector{Keys: selector.Keys})
		}
		o.Fallback = fallbacks[s.Fallback]
		if len(s.Default) > 0 {
			o.DefaultSubset = balance.NewCriteria(s.Default)
		}
	}
	return o
}

var policies = map[string]balance.Policy{
	"round_robin": balance.PolicyRoundRobin, "least_request": balance.PolicyLeastRequest, "random": balance.PolicyRandom,
	"ring_hash": balance.PolicyRingHash, "maglev": balance.PolicyMaglev, "peak_ewma": balance.PolicyPeakEWMA,
}

var fallbacks = map[string]balance.Fallback{
	"any": balance.FallbackAnyEndpoint, "none": balance.FallbackNone, "default": balance.FallbackDefaultSubset,
}

func outlierOptions(c *config.Outlier) *outlier.Options {
	o := outlier.Defaults()
	o.Consecutive5xx, o.ConsecutiveGatewayFailure, o.ConsecutiveLocalOriginFailure = c.Consecutive5xx, c.ConsecutiveGateway, c.ConsecutiveLocalOrigin
	o.SplitExternalLocalOriginErrors = c.SplitLocalOrigin
	o.Interval, o.BaseEjectionTime, o.MaxEjectionTime, o.MaxEjectionPercent = c.Interval, c.BaseEjection, c.MaxEjection, c.MaxEjectedPercent
	o.EnforcingConsecutiveGatewayFailure = percent(c.ConsecutiveGateway > 0)
	s, f := &c.SuccessRate, &c.FailurePercentage
	o.EnforcingSuccessRate, o.EnforcingLocalOriginSuccessRate = percent(s.Enabled), percent(s.Enabled)
	o.SuccessRateMinimumHosts, o.SuccessRateRequestVolume = s.MinEndpoints, s.MinRequests
	o.SuccessRateStdevFactor = s.StdevFactor
	o.EnforcingFailurePercentage, o.EnforcingFailurePercentageLocalOrigin = percent(f.Enabled), percent(f.Enabled)
	o.FailurePercentageThreshold, o.FailurePercentageMinimumHosts, o.FailurePercentageRequestVolume = f.Threshold, f.MinEndpoints, f.MinRequests
	return &o
}

func percent(on bool) int {
	if on {
		return 100
	}
	return 0
}

func healthChecks(all []config.HealthCheck) []healthcheck.Options {
	var checks []healthcheck.Options
	for _, c := range all {
		o := healthcheck.Options{
			Interval: c.Interval, NoTrafficInterval: c.NoTrafficInterval, Timeout: c.Timeout,
			UnhealthyThreshold: c.UnhealthyThreshold, HealthyThreshold: c.HealthyThreshold, Port: c.Port,
		}
		switch {
		case c.HTTP != nil:
			o.HTTP = httpCheck(c.HTTP)
		case c.TCP != nil:
			o.TCP = &healthcheck.TCP{Send: []byte(c.TCP.Send)}
			if c.TCP.Receive != "" {
				o.TCP.Receive = [][]byte{[]byte(c.TCP.Receive)}
			}
		case c.GRPC != nil:
			o.GRPC = &healthcheck.GRPC{ServiceName: c.GRPC.Service, Authority: c.GRPC.Authority}
		}
		checks = append(checks, o)
	}
	return checks
}

func httpCheck(c *config.HTTPCheck) *healthcheck.HTTP {
	o := &healthcheck.HTTP{Method: c.Method, Path: c.Path, Host: c.Host, Header: http.Header{}, Receive: c.Body}
	for name, value := range c.Headers {
		o.Header.Set(name, value)
	}
	for _, text := range c.Statuses {
		if first, last, err := config.Statuses(text); err == nil { // the configuration is valid
			o.ExpectedStatuses = append(o.ExpectedStatuses, healthcheck.StatusRange{First: first, Last: last})
		}
	}
	return o
}

// route makes a route of its configuration.
func (g *generation) route(lc *config.Listener, rc *config.Route) forward.Route {
	cc := g.config.Clusters[rc.Cluster]
	labels := g.labels(lc, routeName(rc), rc.Cluster, rc.SlowThreshold)
	t := forward.Target{Labels: labels, Cluster: g.clusters[rc.Cluster], Retry: g.retries[rc.Cluster], Hash: hashOn(cc.Balance.Hash)}
	if rc.Retry != nil {
		t.Retry = retryPolicy(rc.Retry)
	}
	if h := g.config.HedgeFor(rc); h != nil {
		t.Hedge = &forward.Hedge{After: h.After, Attempts: h.Attempts}
	}
	if len(rc.Subset) > 0 {
		t.Subset = balance.NewCriteria(rc.Subset)
	}
	return forward.Route{Labels: labels, Action: &forward.Forward{Targets: []forward.Target{t}, Timeout: rc.Timeout, Host: rc.Host}}
}

func retryPolicy(c *config.Retry) *forward.Retry {
	if c == nil {
		return nil
	}
	r := &forward.Retry{
		Statuses: slices.Clone(c.Statuses), Attempts: c.Attempts, PerTry: c.PerTryTimeout,
		Base: c.Backoff.Base, Max: c.Backoff.Max, MaxBody: c.MaxBody,
	}
	for _, word := range c.On {
		r.On |= forward.RetryWord(word)
	}
	for _, name := range c.Headers {
		r.Headers = append(r.Headers, strings.ToLower(name))
	}
	if b := c.Budget; b != nil {
		r.Budget = &cluster.Budget{Percent: b.Percent, Min: b.Min}
	}
	return r
}

func hashOn(all []config.HashOn) []forward.HashOn {
	var parts []forward.HashOn
	for _, h := range all {
		parts = append(parts, forward.HashOn{
			Header: h.Header, Cookie: h.Cookie, Query: h.Query, Source: h.Source, Path: h.Path,
			CookieTTL: h.CookieTTL, CookiePath: h.CookiePath, Terminal: h.Terminal,
		})
	}
	return parts
}
