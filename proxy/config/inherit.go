package config

import (
	"cmp"
	"time"
)

// The defaults for a Consul agent that neither the cluster nor the top level sets.
const (
	defaultConsulAddress = "127.0.0.1:8500"
	defaultConsulWait    = 5 * time.Minute
)

// ConsulFor returns what a cluster asks Consul for, and the complete settings of the
// agent. Settings that the cluster leaves out come from the top level, or else from the
// defaults. A cluster with its own token or token_file takes neither from the top level.
// With nil, ConsulFor returns the agent of the catalog and the registration.
func (c *Config) ConsulFor(cluster *Consul) Consul {
	if cluster == nil {
		cluster = &Consul{}
	}
	merged, top := *cluster, &c.Consul
	merged.Address = cmp.Or(cluster.Address, top.Address, defaultConsulAddress)
	if cluster.Token == "" && cluster.TokenFile == "" {
		merged.Token, merged.TokenFile = top.Token, top.TokenFile
	}
	merged.TLS = cmp.Or(cluster.TLS, top.TLS)
	merged.Datacenter = cmp.Or(cluster.Datacenter, top.Datacenter)
	merged.Namespace = cmp.Or(cluster.Namespace, top.Namespace)
	merged.Partition = cmp.Or(cluster.Partition, top.Partition)
	merged.Stale = cluster.Stale || top.Stale
	merged.Wait = cmp.Or(cluster.Wait, top.Wait, defaultConsulWait)
	return merged
}

// HedgeFor returns the hedging policy of a route to a cluster: the route's own, or else the
// cluster's. It returns nil if neither has one, or if it allows only one attempt.
func (c *Config) HedgeFor(r *Route, cluster string) *Hedge {
	h := cmp.Or(r.Hedge, c.Clusters[cluster].Hedge)
	if h != nil && h.Attempts < 2 {
		return nil
	}
	return h
}
