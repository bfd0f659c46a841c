package cluster

import (
	"sync"

	"github.com/hopscope/hopscope/proxy/upstream"
)

// pools are the connections of a cluster. The cluster that replaces it shares them if it
// makes connections in the same way, so each pool counts its users.
type pools struct {
	group *upstream.Group

	mu       sync.Mutex
	clusters int
	all      map[string]*pool // by address
}

// pool is that of one endpoint.
type pool struct {
	*upstream.Endpoint
	clusters int
}

func newPools(g *upstream.Group) *pools {
	return &pools{group: g, clusters: 1, all: map[string]*pool{}}
}

// share lets another cluster use the pools.
func (p *pools) share() *pools {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clusters++
	return p
}

// endpoint is the pool of an address. Each call is followed by one of drop.
func (p *pools) endpoint(address string) *upstream.Endpoint {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.all[address]
	if one == nil {
		one = &pool{Endpoint: p.group.Endpoint(address)}
		p.all[address] = one
	}
	one.clusters++
	return one.Endpoint
}

// drop gives up the pool of an address. The pool closes when nobody uses it.
func (p *pools) drop(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.all[address]
	if one.clusters--; one.clusters == 0 {
		delete(p.all, address)
		p.group.Remove(one.Endpoint)
	}
}

// close ends a cluster's use of the pools, and of those of its endpoints.
func (p *pools) close(endpoints []*Endpoint) {
	p.mu.Lock()
	p.clusters--
	last := p.clusters == 0
	p.mu.Unlock()
	if last {
		p.group.Close()
		return
	}
	for _, e := range endpoints {
		p.drop(e.Address)
	}
}
