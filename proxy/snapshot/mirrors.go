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

// measureMirrors registers the metric of requests that were not copied.
func (p *Proxy) measureMirrors() {
	p.metrics.Func("hopscope_mirror_skipped_total", "Requests that were not copied to a mirror's cluster, because as many copies as its max_requests were under way.", metrics.Counter,
		[]string{"service", "listener", "route", "cluster"}, func(emit func(float64, ...string)) {
			g := p.current.Load()
			skipped := map[[3]string]uint64{} // routes may have the same name
			for _, b := range g.listeners {
				for i := range b.forwarder.Routes {
					if a, ok := b.forwarder.Routes[i].Action.(*forward.Forward); ok {
						for _, m := range a.Mirrors {
							l := m.Route.Labels
							skipped[[3]string{l.Listener, l.Route, l.Cluster}] += m.Skipped()
						}
					}
				}
			}
			for of, n := range skipped {
				emit(float64(n), p.service, of[0], of[1], of[2])
			}
		})
}
