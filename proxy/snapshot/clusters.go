package snapshot

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"reflect"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/healthcheck"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/outlier"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/proxy/tlsconf"
	"github.com/hopscope/hopscope/proxy/upstream"
	"github.com/hopscope/hopscope/telemetry/events"
)

// newCluster is what a cluster is made of.
type newCluster struct {
	*resources.Cluster
	client *tlsconf.Client // nil for no TLS
	// source delivers the endpoints; nil is where the settings say.
	source discovery.Source
	known  *discovery.Known // what its source said before, if that is known
	before *running         // in whose place it comes, nil for none
}

// newCluster makes a cluster.
func (g *generation) newCluster(n *newCluster) (_ *cluster.Cluster, err error) {
	c, client := n.Settings, n.client
	o := cluster.Options{
		Known: n.known, Memory: g.memory.cluster(n.Name),
		Upstream: upstream.Options{
			ConnectTimeout: c.ConnectTimeout, IdleTimeout: c.IdleTimeout, LearnIdleTimeout: c.LearnIdleTimeout,
			MaxIdle: c.MaxIdle,
			Head:    http1.Limits{HeadBytes: c.MaxHeaderBytes, Fields: c.MaxHeaderFields},
			Dial:    g.dial, Kernel: g.kernel,
			Protocol: protocol(c.Protocol), HTTP2: http2Options(&c.HTTP2, c.MaxHeaderBytes, c.MaxHeaderFields), TLS: client,
		},
		Balance: balanceOptions(&c.Balance, n.Zone), Decay: c.Balance.Decay,
		Limits: cluster.Limits(c.CircuitBreaker.Thresholds), High: cluster.Limits(c.CircuitBreaker.High),
		Log: g.options.Log, Service: serviceOf(n.Cluster),
		Note: func(kind events.Kind, endpoint, text string) { g.note(kind, n.Name, endpoint, text) },
	}
	if s := c.Balance.SlowStart; s != nil {
		o.SlowStart = &cluster.SlowStart{Window: s.Window, Aggression: s.Aggression, MinPercent: s.MinPercent}
	}
	if c.DNS != nil {
		o.Missing = fault.DNSFailed
	}
	if c.Outlier != nil {
		o.Outlier = outlierOptions(c.Outlier)
	}
	if o.Source, o.From, o.Fed = n.source, fromCatalog, true; n.source == nil {
		o.Fed = false
		if o.Source, o.From, err = g.agents.source(c, n.known); err != nil {
			return nil, err
		}
	}
	if len(c.HealthChecks) > 0 {
		var config healthcheck.TLSConfig
		if client != nil {
			config = func(host string) *tls.Config { return client.Config(host) }
		}
		if o.Checker, err = healthcheck.New(healthChecks(c.HealthChecks), config); err != nil {
			return nil, fmt.Errorf("health_checks: %w", err)
		}
	}
	if b := n.before; b != nil {
		o.Before, o.SameChecks = b.cluster, reflect.DeepEqual(b.of.Settings.HealthChecks, c.HealthChecks)
	}
	return cluster.New(n.Name, staticEndpoints(c), o, g.shared), nil
}

// serviceOf is the name of the service behind a cluster, "" if that is not known.
func serviceOf(c *resources.Cluster) string {
	switch cc := c.Settings; {
	case c.Origin == resources.Catalog:
		return c.Name
	case cc.PeerService != "":
		return cc.PeerService
	case cc.Consul != nil:
		return cc.Consul.Service
	}
	return ""
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

// balanceOptions say how requests are balanced; zone is where this proxy runs.
func balanceOptions(b *config.Balance, zone string) balance.Options {
	o := balance.Options{
		Policy: policies[b.Policy], Choices: b.Choices, Bias: b.ActiveRequestBias,
		MinRingSize: b.MinRingSize, MaxRingSize: b.MaxRingSize, MaglevTable: b.TableSize, BoundedLoad: b.BoundedLoad,
		DefaultRTT: b.DefaultRTT, PanicThreshold: b.PanicThreshold, Overprovisioning: b.Overprovisioning,
		ZoneAware: b.ZoneAware, Zone: zone, MinZoneHosts: b.MinZoneEndpoints,
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
