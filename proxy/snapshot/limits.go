package snapshot

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/admission"
	"github.com/hopscope/hopscope/proxy/concurrency"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/admit"
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
	admission       *admission.Control    // nil for none
	denied          *atomic.Uint64        // by admission
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
	l := &routeLimits{listener: lc.Name, route: r.Name, origin: r.Cluster.Origin, policies: &r.Policies}
	if b := g.before; b != nil {
		l.inherit(b.limited.get(string(key)))
	}
	l.inherit(g.limited.get(string(key)))
	l.complete(g.shared.Now())
	g.limited.put(string(key), l)
	return l
}

// inherit takes over what another route has counted, as far as the settings are the same.
func (l *routeLimits) inherit(before *routeLimits) {
	if before == nil {
		return
	}
	l.requests, l.denied = before.requests, before.denied
	if reflect.DeepEqual(before.policies.AdaptiveConcurrency, l.policies.AdaptiveConcurrency) {
		l.adaptive = before.adaptive
	}
	if reflect.DeepEqual(before.policies.AdmissionControl, l.policies.AdmissionControl) {
		l.admission = before.admission
	}
}

// complete makes what the route has not inherited.
func (l *routeLimits) complete(now time.Duration) {
	if l.requests == nil {
		l.requests, l.denied = new(limit.State), new(atomic.Uint64)
	}
	if c := l.policies.AdaptiveConcurrency; c != nil && l.adaptive == nil {
		l.adaptive = concurrency.New(gradient(c), now, rand.Uint64())
	}
	if c := l.policies.AdmissionControl; c != nil && l.admission == nil {
		l.admission = admission.New(admission.Options{
			Window: c.SamplingWindow, Threshold: c.SuccessRateThreshold, Aggression: c.Aggression,
			MinRate: c.RPSThreshold, MaxRejection: c.MaxRejectionPercent,
		})
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

// filters are those of the limits, the first outermost.
func (l *routeLimits) filters() (all []filter.Filter) {
	if l == nil {
		return nil
	}
	p := l.policies
	if c := p.AdmissionControl; c != nil {
		o := admit.Options{Calls: c.SuccessGRPCStatuses, Shed: shedding(p.Shed)}
		for _, text := range c.SuccessStatuses {
			if first, last, err := config.Statuses(text); err == nil { // the configuration is valid
				o.Statuses = append(o.Statuses, admit.Range{First: first, Last: last})
			}
		}
		all = append(all, admit.New(l.admission, l.denied, o))
	}
	if !l.gated() {
		return all
	}
	o := limit.Options{Max: p.MaxRequests, Adaptive: l.adaptive, Shed: shedding(p.Shed)}
	if q := p.Queue; q != nil {
		o.Room, o.MaxWait, o.PriorityField = q.Max, q.MaxWait, strings.ToLower(q.PriorityHeader)
	}
	return append(all, limit.New(l.requests, o))
}

// gated reports whether the route bounds how many of its requests are under way.
func (l *routeLimits) gated() bool { return l.policies.MaxRequests > 0 || l.adaptive != nil }

func shedding(c *config.Shed) shed.Answer {
	if c == nil {
		c = config.NewShed()
	}
	return shed.Answer{Status: c.Status, RetryAfter: c.RetryAfter}
}

// measureLimits registers the metrics of routes with limits.
func (p *Proxy) measureLimits() {
	p.measureGates()
	p.measureGradients()
	p.measureAdmission()
}

// eachLimited registers a metric that read emits of each route with limits. Where several
// routes have the same name, the values are added up, or ratios and times are the highest.
func (p *Proxy) eachLimited(name, help string, kind metrics.Kind, highest bool, labels []string, read func(l *routeLimits, emit func(float64, ...string))) {
	p.metrics.Func(name, help, kind, append([]string{"service", "listener", "route"}, labels...), func(emit func(float64, ...string)) {
		g := p.current.Load()
		values, series := map[string]float64{}, map[string][]string{}
		for _, l := range g.limited.all() {
			read(l, func(value float64, labels ...string) {
				all := append([]string{g.config.Service, l.listener, l.route}, labels...)
				key := strings.Join(all, "\x00")
				if series[key] = all; highest {
					values[key] = max(values[key], value)
				} else {
					values[key] += value
				}
			})
		}
		for key, value := range values {
			emit(value, series[key]...)
		}
	})
}

func (p *Proxy) measureGates() {
	p.eachLimited("hopscope_route_requests_active", "Requests under way of a route that has a limit of them.", metrics.Gauge, false,
		nil, func(l *routeLimits, emit func(float64, ...string)) {
			if l.gated() {
				active, _ := l.requests.Gate.Load()
				emit(float64(active))
			}
		})
	p.eachLimited("hopscope_route_requests_waiting", "Requests of a route that wait for their turn (queue).", metrics.Gauge, false,
		nil, func(l *routeLimits, emit func(float64, ...string)) {
			if l.policies.Queue != nil {
				_, waiting := l.requests.Gate.Load()
				emit(float64(waiting))
			}
		})
	p.eachLimited("hopscope_route_requests_limit", "How many requests of a route may be under way.", metrics.Gauge, false,
		[]string{"limit"}, func(l *routeLimits, emit func(float64, ...string)) {
			if n := l.policies.MaxRequests; n > 0 {
				emit(float64(n), "max_requests")
			}
			if l.adaptive != nil {
				emit(float64(l.adaptive.Stats().Limit), "concurrency")
			}
		})
	p.eachLimited("hopscope_route_shed_total", "Requests that a limit of their route did not let through.", metrics.Counter, false,
		[]string{"limit"}, func(l *routeLimits, emit func(float64, ...string)) {
			emit(float64(l.requests.Full.Load()), "max_requests")
			emit(float64(l.requests.Slow.Load()), "concurrency")
			emit(float64(l.denied.Load()), "admission")
		})
}

func (p *Proxy) measureGradients() {
	each := func(name, help string, read func(concurrency.Stats) float64) {
		p.eachLimited(name, help, metrics.Gauge, true, nil, func(l *routeLimits, emit func(float64, ...string)) {
			if l.adaptive != nil {
				emit(read(l.adaptive.Stats()))
			}
		})
	}
	each("hopscope_concurrency_min_rtt_seconds", "How long requests of a route take while few are under way, as its adaptive limit has measured it; 0 is not known yet.",
		func(s concurrency.Stats) float64 { return s.MinRTT.Seconds() })
	each("hopscope_concurrency_sample_rtt_seconds", "How long requests of a route took of late.",
		func(s concurrency.Stats) float64 { return s.SampleRTT.Seconds() })
	each("hopscope_concurrency_gradient", "What the adaptive limit of a route was last multiplied by.",
		func(s concurrency.Stats) float64 { return s.Gradient })
	each("hopscope_concurrency_measuring", "1 while an adaptive limit is at its lowest to measure how long requests take.",
		func(s concurrency.Stats) float64 { return number(s.Measuring) })
}

func (p *Proxy) measureAdmission() {
	each := func(name, help string, read func(*admission.Control) float64) {
		p.eachLimited(name, help, metrics.Gauge, true, nil, func(l *routeLimits, emit func(float64, ...string)) {
			if l.admission != nil {
				emit(read(l.admission))
			}
		})
	}
	each("hopscope_admission_failure_ratio", "Share of a route's requests that failed in the window of its admission control.",
		func(c *admission.Control) float64 { share, _ := c.Success(p.shared.Now()); return 1 - share })
	each("hopscope_admission_rejection_ratio", "Chance of a route's request to be refused by its admission control.",
		func(c *admission.Control) float64 { return c.Rejection(p.shared.Now()) })
}
