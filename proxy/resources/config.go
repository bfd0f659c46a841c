package resources

import (
	"encoding/json"
	"slices"

	"github.com/hopscope/hopscope/proxy/config"
)

// CatalogTable is the route table of the catalog.
var CatalogTable = ID{Catalog, "consul"}

// FromConfig returns what a valid configuration says. It shares the configuration's
// memory: neither is changed afterwards.
func FromConfig(c *config.Config) *Set {
	s := &Set{Settings: settings(c)}
	s.init()
	for i := range c.Listeners {
		s.listener(&c.Listeners[i])
	}
	for name, cc := range c.Clusters {
		settings, policy := divide(c, &cc)
		s.add(&Cluster{ID: ID{Configuration, name}, Settings: settings, Policy: policy, Zone: zone(c, &cc), Written: &cc})
	}
	return s
}

// listener adds a listener with what belongs to it.
func (s *Set) listener(lc *config.Listener) {
	l := &Listener{Name: lc.Name, Socket: lc.ListenerSocket, HTTP: lc.ListenerHTTP, Tables: []ID{{Configuration, lc.Name}}}
	l.HTTP.Routes = nil
	s.Routes[l.Tables[0]] = &RouteTable{ID: l.Tables[0], Configured: lc.Routes}
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

// divide divides what is written of a cluster into what it is made of and what its
// routes go by.
func divide(c *config.Config, cc *config.Cluster) (*config.Cluster, Policy) {
	settings := *cc
	policy := Policy{Retry: cc.Retry, Hedge: cc.Hedge, Hash: cc.Balance.Hash}
	settings.Retry, settings.Hedge, settings.Balance.Hash = nil, nil, nil
	if cc.Consul != nil {
		asked := c.ConsulFor(cc.Consul)
		settings.Consul = &asked
	}
	return &settings, policy
}

func zone(c *config.Config, cc *config.Cluster) string {
	if cc.Balance.ZoneAware {
		return c.Locality.Zone
	}
	return ""
}

// settings are the keys of a configuration that are no resources.
func settings(c *config.Config) []Setting {
	t := &c.Telemetry
	return []Setting{
		{Key: "service", Value: c.Service, Fixed: true},
		{Key: "admin", Value: c.Admin, Fixed: true},
		{Key: "consul", Value: c.Consul},
		{Key: "catalog", Value: c.Catalog},
		{Key: "register", Value: c.Register},
		{Key: "discovery", Value: c.Discovery},
		{Key: "locality", Value: c.Locality},
		{Key: "telemetry.traces.otlp", Value: t.Traces.OTLP, Fixed: true},
		{Key: "telemetry.traces.zipkin", Value: t.Traces.Zipkin, Fixed: true},
		{Key: "telemetry.traces.sample", Value: t.Traces.Sample},
		{Key: "telemetry.traces.extract", Value: t.Traces.Extract},
		{Key: "telemetry.traces.inject", Value: t.Traces.Inject},
		{Key: "telemetry.access_log", Value: t.AccessLog, Fixed: true},
		{Key: "telemetry.metrics", Value: t.Metrics, Fixed: true},
		{Key: "telemetry.slow_threshold", Value: t.SlowThreshold},
		{Key: "telemetry.store", Value: t.Store, Fixed: true},
		{Key: "overload", Value: c.Overload},
		{Key: "drain", Value: c.Drain},
		{Key: "log", Value: c.Log},
		{Key: "upgrade_socket", Value: c.UpgradeSocket, Fixed: true},
	}
}

// Question is what the source of the cluster's endpoints is asked, "" where it asks
// none. What a source said holds for whoever asks the same question, through whatever
// agent or resolver.
func (c *Cluster) Question() string {
	s := c.Settings
	switch {
	case s.Consul != nil:
		return question("consul", struct {
			Service, Query, Datacenter, Namespace, Partition, Filter string
			Tags, Failover                                           []string
			OnlyPassing                                              bool
		}{
			s.Consul.Service, s.Consul.Query, s.Consul.Datacenter, s.Consul.Namespace, s.Consul.Partition, s.Consul.Filter,
			s.Consul.Tags, s.Consul.Failover, s.Consul.OnlyPassing,
		})
	case s.DNS != nil:
		return question("dns", struct {
			Name       string
			Port       int
			Type, Mode string
		}{s.DNS.Name, s.DNS.Port, s.DNS.Type, s.DNS.Mode})
	case s.File != nil:
		return question("file", s.File.Path)
	}
	return ""
}

// CatalogQuestion is what Consul is asked for its catalog.
func CatalogQuestion(asked *config.Consul) string {
	return question("catalog", struct{ Datacenter, Namespace, Partition string }{asked.Datacenter, asked.Namespace, asked.Partition})
}

func question(of string, what any) string {
	text, _ := json.Marshal(what) // nothing in it can fail
	return of + " " + string(text)
}

// ServesCatalog reports whether a listener of the set serves the catalog.
func (s *Set) ServesCatalog() bool {
	return slices.ContainsFunc(s.Listeners, func(l *Listener) bool { return slices.Contains(l.Tables, CatalogTable) })
}
