package snapshot

import (
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/forward"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/proxy/route"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/metrics"
)

// mirrors makes what copies a route's requests; labels are those of the route.
func (g *generation) mirrors(r *resources.Route, labels *hop.Labels) (all []*forward.Mirror) {
	for i := range r.Mirrors {
		m := &r.Mirrors[i]
		to := g.running(m.Cluster)
		behind, err := config.Size(m.Settings.MaxBehind)
		if to == nil || err != nil { // not reached: the configuration is valid
			continue
		}
		own := *labels
		own.Direction, own.Cluster, own.Learn = hop.Mirror, m.Cluster.Name, false
		own.Metrics = g.metrics.Series(&own)
		g.labelled = append(g.labelled, &own)
		target := forward.Target{Labels: &own, Cluster: to.cluster, Hash: hashOn(m.Hash)}
		all = append(all, &forward.Mirror{
			Route: &forward.Route{Labels: &own, Action: &forward.Forward{Targets: []forward.Target{target}, Timeout: m.Settings.Timeout}},
			Share: *route.Percent(m.Settings.Percent), Most: int64(m.Settings.MaxRequests), Behind: int(behind),
		})
	}
	return all
}

// measureRoutes registers the metrics of what routes do besides sending requests on.
func (p *Proxy) measureRoutes() {
	p.metrics.Func("hopscope_mirror_skipped_total", "Requests that were not copied to a mirror's cluster, because as many copies as its max_requests were under way.", metrics.Counter,
		[]string{"service", "listener", "route", "cluster"}, p.sums(func(_ *hop.Labels, a *forward.Forward, add func(*hop.Labels, string, uint64)) {
			for _, m := range a.Mirrors {
				add(m.Route.Labels, m.Route.Labels.Cluster, m.Skipped())
			}
		}))
	p.metrics.Func("hopscope_internal_redirects_total", "Redirects of endpoints that internal_redirects of their route was for: followed, or passed to the client since they could not be.", metrics.Counter,
		[]string{"service", "listener", "route", "result"}, p.sums(func(l *hop.Labels, a *forward.Forward, add func(*hop.Labels, string, uint64)) {
			if a.Follow != nil {
				followed, passed := a.Follow.Counts()
				add(l, "followed", followed)
				add(l, "passed", passed)
			}
		}))
}

// sums emits what of finds in the actions of the configuration's routes: numbers, each with
// the labels of its route and one label more. Routes may have the same name.
func (p *Proxy) sums(of func(l *hop.Labels, a *forward.Forward, add func(*hop.Labels, string, uint64))) func(emit func(float64, ...string)) {
	return func(emit func(float64, ...string)) {
		sums := map[[3]string]uint64{}
		add := func(l *hop.Labels, label string, n uint64) { sums[[3]string{l.Listener, l.Route, label}] += n }
		for _, b := range p.current.Load().listeners {
			for i := range b.forwarder.Routes {
				r := &b.forwarder.Routes[i]
				if a, ok := r.Action.(*forward.Forward); ok {
					of(r.Labels, a, add)
				}
			}
		}
		for labels, n := range sums {
			emit(float64(n), p.service, labels[0], labels[1], labels[2])
		}
	}
}
