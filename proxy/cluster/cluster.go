package cluster

import (
	"fmt"

	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/upstream"
)

// Cluster is a group of endpoints that are all alike.
type Cluster struct {
	// Name is the cluster's name in the configuration.
	Name string
	// Group holds the connections.
	Group *upstream.Group

	endpoints []*upstream.Endpoint
	picker    balance.RoundRobin
}

// New returns a cluster of the endpoints at these addresses.
func New(name string, addresses []string, o upstream.Options, shared *netio.Shared) *Cluster {
	c := &Cluster{Name: name, Group: upstream.NewGroup(name, o, shared)}
	for _, a := range addresses {
		c.endpoints = append(c.endpoints, c.Group.Endpoint(a))
	}
	return c
}

// Pick chooses the endpoint for the next attempt.
func (c *Cluster) Pick() (*upstream.Endpoint, error) {
	i := c.picker.Pick(len(c.endpoints))
	if i < 0 {
		return nil, fault.New(fault.NoHealthy, fmt.Sprintf("cluster %s has no endpoint", c.Name))
	}
	return c.endpoints[i], nil
}

// Endpoints are the cluster's endpoints, in the order of the configuration.
func (c *Cluster) Endpoints() []*upstream.Endpoint { return c.endpoints }
