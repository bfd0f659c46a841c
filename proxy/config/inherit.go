package config

import (
	"cmp"
	"time"
)

// What holds for a Consul agent where neither the cluster nor the top level
// says otherwise.
const (
	defaultConsulAddress = "127.0.0.1:8500"
	defaultConsulWait    = 5 * time.Minute
)

// ConsulFor is what a cluster asks Consul for, and the whole of how the agent is
// reached: each setting of the agent that the cluster leaves out is the top
// level's, and the default where that leaves it out too. A cluster with a token
// of its own, or a file of one, takes neither from the top level. With nil it is
// the agent of the catalog and of the registration.
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

// HedgeFor is the hedging policy of a route: its own, or else its cluster's; nil
// where neither has one, and where it is of one attempt, which is none.
func (c *Config) HedgeFor(r *Route) *Hedge {
	h := cmp.Or(r.Hedge, c.Clusters[r.Cluster].Hedge)
	if h != nil && h.Attempts < 2 {
		return nil
	}
	return h
}
