package snapshot

import (
	"encoding/json"
	"strings"
	"sync"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/limit"
	"github.com/hopscope/hopscope/proxy/filter/shed"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/telemetry/metrics"
)

// routeLimits are what the limits of one route have counted. A route that has the same
// name and the same match in the next configuration goes on with them.
type routeLimits struct {
	listener, route string
	origin          resources.Origin
	policies        *config.RoutePolicies
	requests        *limit.State
}

// limited are the routes of a generation that have limits.
type limited struct {
	mu     sync.Mutex
	routes map[string]*routeLimits
	// leaving are the routes of a catalog that are not known to be in its new version.
	leaving map[string]*routeLimits
}

// limits are those of a route, nil where it has none.
func (g *generation) limits(r *resources.Route, lc *config.Listener) *routeLimits {
	if !r.Policies.Limits() {
		return nil
	}
	key, err := json.Marshal([]any{lc.Name, r.Name, r.Cluster.Origin, r.Match})
	if err != nil { // not reached
		return nil
	}
	l := &routeLimits{listener: lc.Name, route: r.Name, origin: r.Cluster.Origin, policies: &r.Policies, requests: new(limit.State)}
	if b := g.before; b != nil {
		l.inherit(b.limited.get(string(key)))
	}
	l.inherit(g.limited.get(string(key)))
	g.limited.put(string(key), l)
	return l
}

// inherit takes over what another route has counted.
func (l *routeLimits) inherit(before *routeLimits) {
	if before != nil {
		l.requests = before.requests
	}
}

func (l *limited) get(key string) *routeLimits {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.routes[key]; r != nil {
		return r
	}
	return l.leaving[key]
}

func (l *limited) put(key string, r *routeLimits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.routes == nil {
		l.routes = map[string]*routeLimits{}
	}
	l.routes[key] = r
}

// beginCatalog forgets the routes of a catalog, but for what they have counted, until
// endCatalog.
func (l *limited) beginCatalog() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaving = map[string]*routeLimits{}
	for key, r := range l.routes {
		if r.origin == resources.Catalog {
			l.leaving[key] = r
			delete(l.routes, key)
		}
	}
}

func (l *limited) endCatalog() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaving = nil
}

// all are the routes with limits.
func (l *limited) all() (all []*routeLimits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.routes {
		all = append(all, r)
	}
	return all
}

// filters are those of the limits.
func (l *routeLimits) filters() (all []filter.Filter) {
	if l == nil {
		return nil
	}
	return append(all, limit.New(l.requests, limit.Options{Max: l.policies.MaxRequests, Shed: shedding(l.policies.Shed)}))
}

func shedding(c *config.Shed) shed.Answer {
	if c == nil {
		c = config.NewShed()
	}
	return shed.Answer{Status: c.Status, RetryAfter: c.RetryAfter}
}

// measureLimits registers the metrics of routes with limits.
func (p *Proxy) measureLimits() {
	each := func(name, help string, kind metrics.Kind, labels []string, read func(l *routeLimits, emit func(float64, ...string))) {
		p.metrics.Func(name, help, kind, append([]string{"service", "listener", "route"}, labels...), func(emit func(float64, ...string)) {
			g, sums := p.current.Load(), map[string]float64{} // routes may have the same name
			series := map[string][]string{}
			for _, l := range g.limited.all() {
				read(l, func(value float64, labels ...string) {
					all := append([]string{g.config.Service, l.listener, l.route}, labels...)
					key := strings.Join(all, "\x00")
					sums[key] += value
					series[key] = all
				})
			}
			for key, sum := range sums {
				emit(sum, series[key]...)
			}
		})
	}
	each("hopscope_route_requests_active", "Requests under way of a route that has a limit.", metrics.Gauge,
		nil, func(l *routeLimits, emit func(float64, ...string)) {
			active, _ := l.requests.Gate.Load()
			emit(float64(active))
		})
	each("hopscope_route_requests_limit", "How many requests of a route may be under way.", metrics.Gauge,
		nil, func(l *routeLimits, emit func(float64, ...string)) { emit(float64(l.policies.MaxRequests)) })
	each("hopscope_route_shed_total", "Requests that a limit of their route did not let through: max_requests.", metrics.Counter,
		[]string{"limit"}, func(l *routeLimits, emit func(float64, ...string)) {
			emit(float64(l.requests.Refused.Load()), "max_requests")
		})
}
