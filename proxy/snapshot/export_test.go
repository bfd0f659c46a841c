package snapshot

import (
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/overload"
)

// WithFilters puts filters in front of those of every listener.
func (o Options) WithFilters(filters ...filter.Filter) Options {
	o.filters = filters
	return o
}

// Live is how many generations have not drained.
func (p *Proxy) Live() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.live)
}

// Underway is how many requests have not ended with their Hop being recorded.
func (p *Proxy) Underway() (n int64) {
	for _, t := range p.traffic() {
		n += t.requests
	}
	return n
}

// Budget is the budget for what clients make the proxy hold.
func (p *Proxy) Budget() *overload.Budget { return p.shared.Memory }
