package snapshot

import (
	"encoding/json"
	"reflect"

	"github.com/hopscope/hopscope/proxy/config"
)

// settings of a cluster are all that it is made of. Two configurations that have the
// same have the same cluster: a reload leaves it as it is.
type clusterSettings struct {
	config.Cluster
	zone string
}

// settingsOf are those of a cluster of the configuration. What its routes alone go
// by is no part of it: retries, hedging, and what is hashed.
func settingsOf(c *config.Config, cc *config.Cluster) clusterSettings {
	s := clusterSettings{Cluster: *cc}
	s.Retry, s.Hedge, s.Balance.Hash = nil, nil, nil
	if cc.Consul != nil {
		asked := c.ConsulFor(cc.Consul)
		s.Consul = &asked
	}
	if cc.Balance.ZoneAware {
		s.zone = c.Locality.Zone
	}
	return s
}

func (s clusterSettings) same(other clusterSettings) bool { return reflect.DeepEqual(s, other) }

// sameTLS reports whether connections to the endpoints of two clusters are encrypted
// in the same way.
func sameTLS(a, b *config.Cluster) bool {
	return reflect.DeepEqual(a.TLS, b.TLS) && protocol(a.Protocol) == protocol(b.Protocol)
}

// questionOf is what the source of a cluster's endpoints is asked, "" for a cluster
// without one. What a source said holds for whoever asks the same question, through
// whatever agent or resolver.
func questionOf(c *config.Config, cc *config.Cluster) string {
	switch {
	case cc.Consul != nil:
		asked := c.ConsulFor(cc.Consul)
		return question("consul", struct {
			Service, Query, Datacenter, Namespace, Partition, Filter string
			Tags, Failover                                           []string
			OnlyPassing                                              bool
		}{
			asked.Service, asked.Query, asked.Datacenter, asked.Namespace, asked.Partition, asked.Filter,
			asked.Tags, asked.Failover, asked.OnlyPassing,
		})
	case cc.DNS != nil:
		return question("dns", struct {
			Name       string
			Port       int
			Type, Mode string
		}{cc.DNS.Name, cc.DNS.Port, cc.DNS.Type, cc.DNS.Mode})
	case cc.File != nil:
		return question("file", cc.File.Path)
	}
	return ""
}

// catalogQuestion is what Consul is asked for its catalog.
func catalogQuestion(asked *config.Consul) string {
	return question("catalog", struct{ Datacenter, Namespace, Partition string }{asked.Datacenter, asked.Namespace, asked.Partition})
}

func question(of string, what any) string {
	text, _ := json.Marshal(what) // nothing in it can fail
	return of + " " + string(text)
}
