package snapshot

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"

	"github.com/hopscope/hopscope/proxy/concurrency"
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
	adaptive        *concurrency.Gradient // nil for none
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
	if c := r.Policies.AdaptiveConcurrency; c != nil && l.adaptive == nil {
		l.adaptive = concurrency.New(gradient(c), g.shared.Now(), rand.Uint64())
	}
	g.limited.put(string(key), l)
	return l
}

// inherit takes over what another route has counted.
func (l *routeLimits) inherit(before *routeLimits) {
	if before == nil {
		return
	}
	l.requests = before.requests
	if reflect.DeepEqual(before.policies.AdaptiveConcurrency, l.policies.AdaptiveConcurrency) {
		l.adaptive = before.adaptive
	}
}

func gradient(c *config.AdaptiveConcurrency) concurrency.Options {
	return concurrency.Options{
		Percentile: c.Percentile, MinLimit: c.MinConcurrency, MaxLimit: c.MaxConcurrency, UpdateInterval: c.UpdateInterval,
		MinRTTInterval: c.MinRTT.Interval, Jitter: c.MinRTT.Jitter, MinRTTRequests: c.MinRTT.Requests,
		Buffer: c.MinRTT.Buffer, FixedMinRTT: c.MinRTT.Fixed,
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
	return append(all, limit.New(l.requests, limit.Options{Max: l.policies.MaxRequests, Adaptive: l.adaptive, Shed: shedding(l.policies.Shed)}))
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
		[]string{"limit"}, func(l *routeLimits, emit func(float64, ...string)) {
			if n := l.policies.MaxRequests; n > 0 {
				emit(float64(n), "max_requests")
			}
			if l.adaptive != nil {
				emit(float64(l.adaptive.Stats().Limit), "concurrency")
			}
		})
	each("hopscope_route_shed_total", "Requests that a limit of their route did not let through.", metrics.Counter,
		[]string{"limit"}, func(l *routeLimits, emit func(float64, ...string)) {
			emit(float64(l.requests.Full.Load()), "max_requests")
			emit(float64(l.requests.Slow.Load()), "concurrency")
		})
	adaptive := func(name, help string, read func(concurrency.Stats) float64) {
		each(name, help, metrics.Gauge, nil, func(l *routeLimits, emit func(float64, ...string)) {
			if l.adaptive != nil {
				emit(read(l.adaptive.Stats()))
			}
		})
	}
	adaptive("hopscope_concurrency_min_rtt_seconds", "How long requests of a route take while few are under way, as its adaptive limit has measured it; 0 is not known yet.",
		func(s concurrency.Stats) float64 { return s.MinRTT.Seconds() })
	adaptive("hopscope_concurrency_sample_rtt_seconds", "How long requests of a route took of late.",
		func(s concurrency.Stats) float64 { return s.SampleRTT.Seconds() })
	adaptive("hopscope_concurrency_gradient", "What the adaptive limit of a route was last multiplied by.",
		func(s concurrency.Stats) float64 { return s.Gradient })
	adaptive("hopscope_concurrency_measuring", "1 while an adaptive limit is at its lowest to measure how long requests take.",
		func(s concurrency.Stats) float64 { return number(s.Measuring) })
}
