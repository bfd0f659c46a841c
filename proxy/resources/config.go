package resources

import (
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// FromConfig returns what a valid configuration says. It shares the configuration's
// memory: neither is changed afterwards.
func FromConfig(c *config.Config) *Set {
	s := newSet()
	s.Settings = settings(c)
	for i := range c.Listeners {
		s.listener(c, &c.Listeners[i])
	}
	for name, cc := range c.Clusters {
		s.add(&Cluster{ID: ID{Configuration, name}, Settings: madeOf(c, &cc), Zone: zone(c, &cc), Written: &cc})
	}
	for name, b := range c.Catalog.Auth {
		if s.Auth == nil {
			s.Auth = map[string]*config.BasicAuth{}
		}
		s.Auth[name] = &b
	}
	return s
}

// listener adds a listener with what belongs to it.
func (s *Set) listener(c *config.Config, lc *config.Listener) {
	l := &Listener{Name: lc.Name, Socket: lc.ListenerSocket, HTTP: lc.ListenerHTTP, Tables: []ID{{Configuration, lc.Name}}}
	table := &RouteTable{ID: l.Tables[0]}
	for i := range lc.Routes {
		table.Routes = append(table.Routes, routeOf(c, &lc.Routes[i]))
	}
	s.Routes[table.ID] = table
	if lc.Catalog == "consul" {
		l.Tables = append(l.Tables, CatalogTable)
	}
	s.Listeners = append(s.Listeners, l)
	if lc.TLS != nil {
		id := ServerSecret(lc.Name)
		s.Secrets[id] = &Secret{SecretID: id, Server: lc.TLS}
	}
	if lc.ForwardProxy != nil {
		cc := config.NewCluster()
		cc.ConnectTimeout, cc.Protocol = lc.ForwardProxy.ConnectTimeout, "http1"
		s.add(&Cluster{ID: ID{ForwardProxy, lc.Name}, Settings: &cc})
	}
}

// routeOf is a route of the configuration.
func routeOf(c *config.Config, rc *config.Route) Route {
	r := Route{
		Name: routeName(rc), Unnamed: rc.Name == "" && rc.Match.Path == "" && rc.Match.PathTemplate == "", Match: rc.Match, Cluster: ID{Configuration, rc.Cluster},
		Redirect: rc.Redirect, Answer: rc.Answer, Rewrite: rc.Rewrite, InternalRedirects: rc.InternalRedirects, RequestHeaders: rc.RequestHeaders, ResponseHeaders: rc.ResponseHeaders,
		Timeout: rc.Timeout, Idle: rc.IdleTimeout, High: rc.Priority == "high", Subset: rc.Subset, Session: rc.StatefulSession, Host: rc.Host, Slow: rc.SlowThreshold, Traces: rc.Traces,
		Policies: rc.RoutePolicies, Sticky: rc.Sticky, Guard: rc.Guard, ClusterHeader: rc.ClusterHeader,
	}
	r.Policy, r.Shares = policyOf(c, rc, rc.Cluster)
	for _, m := range rc.Mirror {
		r.Mirrors = append(r.Mirrors, Mirror{ID{Configuration, m.Cluster}, m, c.Clusters[m.Cluster].Balance.Hash})
	}
	for i := range rc.Split {
		s := &rc.Split[i]
		t := Target{Cluster: ID{Configuration, s.Cluster}, Variant: s.Name(), Weight: uint32(s.Weight), RequestHeaders: s.RequestHeaders, ResponseHeaders: s.ResponseHeaders}
		t.Policy, t.Shares = policyOf(c, rc, s.Cluster)
		r.Targets = append(r.Targets, t)
	}
	for _, name := range rc.AllowClusters {
		t := Target{Cluster: ID{Configuration, name}}
		t.Policy, t.Shares = policyOf(c, rc, name)
		r.Targets = append(r.Targets, t)
	}
	return r
}

// policyOf is what a route goes by where it sends requests to a cluster, and the cluster
// whose retry budget it shares.
func policyOf(c *config.Config, rc *config.Route, cluster string) (p Policy, shares string) {
	cc := c.Clusters[cluster]
	p = Policy{Retry: rc.Retry, Hedge: c.HedgeFor(rc, cluster), Hash: cc.Balance.Hash}
	if rc.Retry == nil {
		p.Retry, shares = cc.Retry, cluster
	}
	return p, shares
}

// routeName names a route that has no name of its own after what it matches.
func routeName(r *config.Route) string {
	switch {
	case r.Name != "":
		return r.Name
	case r.Match.Path != "":
		return r.Match.Path
	case r.Match.PathTemplate != "":
		return r.Match.PathTemplate
	case r.Match.PathPrefix != "":
		return r.Match.PathPrefix
	case r.Match.PathSegments != "":
		return r.Match.PathSegments
	}
	return hop.UnnamedRoute
}

// madeOf is what is written of a cluster without what its routes go by.
func madeOf(c *config.Config, cc *config.Cluster) *config.Cluster {
	settings := *cc
	settings.Retry, settings.Hedge, settings.Balance.Hash = nil, nil, nil
	if cc.Consul != nil {
		asked := c.ConsulFor(cc.Consul)
		settings.Consul = &asked
	}
	return &settings
}

// zone is where this proxy runs, for a cluster that goes by it.
func zone(c *config.Config, cc *config.Cluster) string {
	if cc.Balance.ZoneAware {
		return c.Locality.Zone
	}
	return ""
}

// settings are the keys of a configuration that are no resources.
func settings(c *config.Config) []Setting {
	t := &c.Telemetry
	catalog := c.Catalog
	catalog.Auth = nil // see Set.Auth
	mesh, peers := c.Mesh, []string(nil)
	if mesh != nil {
		rest := *mesh
		mesh, peers, rest.Peers = &rest, rest.Peers, nil
	}
	return []Setting{
		{Key: "service", Value: c.Service, Fixed: true},
		{Key: "admin", Value: c.Admin, Fixed: true},
		{Key: "routes_from", Value: c.RoutesFrom},
		{Key: "mesh", Value: mesh, Fixed: true},
		{Key: "mesh.peers", Value: peers},
		{Key: "consul", Value: c.Consul},
		{Key: "catalog", Value: catalog},
		{Key: "register", Value: c.Register},
		{Key: "discovery", Value: c.Discovery},
		{Key: "locality", Value: c.Locality},
		{Key: "telemetry.traces.otlp", Value: t.Traces.OTLP, Fixed: true},
		{Key: "telemetry.traces.zipkin", Value: t.Traces.Zipkin, Fixed: true},
		{Key: "telemetry.traces.exporters", Value: t.Traces.Exporters, Fixed: true},
		{Key: "telemetry.resource_attributes", Value: t.ResourceAttributes, Fixed: true},
		{Key: "telemetry.traces.sample", Value: t.Traces.Sample},
		{Key: "telemetry.traces.max_per_second", Value: t.Traces.MaxPerSecond},
		{Key: "telemetry.traces.extract", Value: t.Traces.Extract},
		{Key: "telemetry.traces.inject", Value: t.Traces.Inject},
		{Key: "telemetry.access_log", Value: t.AccessLog, Fixed: true},
		{Key: "telemetry.metrics", Value: t.Metrics, Fixed: true},
		{Key: "telemetry.slow_threshold", Value: t.SlowThreshold},
		{Key: "telemetry.learn_routes", Value: t.LearnRoutes},
		{Key: "telemetry.store", Value: t.Store, Fixed: true},
		{Key: "deadlines", Value: c.Deadlines},
		{Key: "overload", Value: c.Overload},
		{Key: "drain", Value: c.Drain},
		{Key: "log", Value: c.Log},
		{Key: "upgrade_socket", Value: c.UpgradeSocket, Fixed: true},
		{Key: "huge_pages", Value: c.HugePages, Fixed: true},
	}
}
