package cluster

import (
	"sync"
	"sync/atomic"

	"github.com/hopscope/hopscope/proxy/upstream"
)

// pools are the connections of a cluster. The cluster that replaces it shares them if it
// makes connections in the same way, so each pool counts its users. The requests of each
// priority have connections of their own.
type pools struct {
	groups [priorities]*upstream.Group

	mu       sync.Mutex
	clusters int
	all      map[string]*pool // by address
}

// pool is that of one endpoint.
type pool struct {
	*upstream.Endpoint                                   // of ordinary requests
	high               atomic.Pointer[upstream.Endpoint] // of important ones; nil while none has come
	clusters           int
}

func newPools(groups [priorities]*upstream.Group) *pools {
	return &pools{groups: groups, clusters: 1, all: map[string]*pool{}}
}

// share lets another cluster use the pools.
func (p *pools) share() *pools {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clusters++
	return p
}

// endpoint is the pool of an address. Each call is followed by one of drop.
func (p *pools) endpoint(address string) *pool {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.all[address]
	if one == nil {
		one = &pool{Endpoint: p.groups[Default].Endpoint(address)}
		p.all[address] = one
	}
	one.clusters++
	return one
}

// highOf is the pool of an endpoint for important requests, which comes with the first of
// them: few clusters have any.
func (p *pools) highOf(one *pool) *upstream.Endpoint {
	if e := one.high.Load(); e != nil {
		return e
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := one.high.Load(); e != nil {
		return e
	}
	e := p.groups[High].Endpoint(one.Address)
	if one.clusters == 0 { // since it was picked, it was removed
		p.groups[High].Remove(e)
	}
	one.high.Store(e)
	return e
}

// drop gives up the pool of an address. The pool closes when nobody uses it.
func (p *pools) drop(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.all[address]
	if one.clusters--; one.clusters > 0 {
		return
	}
	delete(p.all, address)
	p.groups[Default].Remove(one.Endpoint)
	if high := one.high.Load(); high != nil {
		p.groups[High].Remove(high)
	}
}

// close ends a cluster's use of the pools, and of those of its endpoints.
func (p *pools) close(endpoints []*Endpoint) {
	p.mu.Lock()
	p.clusters--
	last := p.clusters == 0
	p.mu.Unlock()
	if last {
		for _, g := range p.groups {
			g.Close()
		}
		return
	}
	for _, e := range endpoints {
		p.drop(e.Address)
	}
}
