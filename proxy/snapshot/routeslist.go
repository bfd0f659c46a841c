package snapshot

import (
	"sync"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/resources"
)

// unreached remembers which routes of a generation no request takes: that does not change.
type unreached struct {
	mu         sync.Mutex
	byListener map[string]map[int]string
}

// mostCompared is how many routes of a listener are compared with each other while a proxy
// runs: each is with all before it. hopscope check has no limit.
const mostCompared = 2000

// unreachable says why no request takes routes of a listener, by their index.
func (g *generation) unreachable(listener string, routes []resources.Route) map[int]string {
	u := &g.unreached
	u.mu.Lock()
	defer u.mu.Unlock()
	if why, known := u.byListener[listener]; known {
		return why
	}
	why := map[int]string{}
	if len(routes) <= mostCompared {
		for _, one := range unreachable(listener, routes) {
			why[one.Number-1] = one.Why()
		}
	}
	if u.byListener == nil {
		u.byListener = map[string]map[int]string{}
	}
	u.byListener[listener] = why
	return why
}

// listedRoute is a route as /routes shows it.
type listedRoute struct {
	Listener string `json:"listener"`
	// Number is its place among the routes of its listener, or of the catalog, from 1 on.
	Number  int  `json:"number"`
	Catalog bool `json:"catalog"`
	shownRoute
	// Unused is true if no request has taken the route since the start.
	Unused bool `json:"unused"`
}

// routesState are the routes of all listeners, in their order.
func (p *Proxy) routesState() any {
	g := p.current.Load()
	hits, hour, all := p.hits(), p.lastHour(), []listedRoute{}
	add := func(lc *config.Listener, routes []resources.Route, catalog bool) {
		why := map[int]string{}
		if !catalog {
			why = g.unreachable(lc.Name, routes)
		}
		for i := range routes {
			one := listedRoute{Listener: lc.Name, Number: i + 1, Catalog: catalog, shownRoute: shownRouteOf(&routes[i], lc, hits, hour)}
			one.Unreachable, one.Unused = why[i], one.Hits == 0
			all = append(all, one)
		}
	}
	for _, s := range g.explainer().listeners {
		add(s.config, s.routes, false)
		add(s.config, s.catalog, true)
	}
	return all
}
