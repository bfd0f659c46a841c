package snapshot

import (
	"slices"

	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/telemetry/metrics"
)

// measureClusters registers the metrics of clusters, which are read at each scrape: their
// endpoints, their sources and what is under way.
func (p *Proxy) measureClusters() {
	each := func(name, help string, kind metrics.Kind, labels []string, read func(c *cluster.Cluster, emit func(float64, ...string))) {
		p.metrics.Func(name, help, kind, append([]string{"service", "cluster"}, labels...), func(emit func(float64, ...string)) {
			service := p.current.Load().config.Service
			for _, c := range p.current.Load().measured() {
				read(c, func(value float64, labels ...string) {
					emit(value, append([]string{service, c.Name}, labels...)...)
				})
			}
		})
	}
	each("hopscope_endpoints", "Endpoints of a cluster by health; those that are unchecked wait for their first health check, and those that are excluded are out of service in its source, or by hand.", metrics.Gauge,
		[]string{"health"}, func(c *cluster.Cluster, emit func(float64, ...string)) {
			healths, _ := c.Healths()
			for health, n := range healths {
				emit(float64(n), health)
			}
		})
	each("hopscope_endpoints_ejected", "Endpoints that are ejected as outliers, or by hand.", metrics.Gauge,
		nil, func(c *cluster.Cluster, emit func(float64, ...string)) {
			_, ejected := c.Healths()
			emit(float64(ejected))
		})
	each("hopscope_outlier_events_total", "What outlier detection did: ejected, unejected, not_enforced, overflow; by reason.", metrics.Counter,
		[]string{"event", "reason"}, func(c *cluster.Cluster, emit func(float64, ...string)) {
			c.Ejections(func(event, reason string, n uint64) { emit(float64(n), event, reason) })
		})
	each("hopscope_picks_total", "Remarkable choices of an endpoint: panic, degraded, failover, cross_zone, subset_fallback, repeated, unchecked.", metrics.Counter,
		[]string{"outcome"}, func(c *cluster.Cluster, emit func(float64, ...string)) {
			c.Picks(func(outcome string, n uint64) { emit(float64(n), outcome) })
		})
	each("hopscope_upstream_requests_active", "Requests under way to a cluster.", metrics.Gauge,
		nil, func(c *cluster.Cluster, emit func(float64, ...string)) { emit(float64(c.Traffic().Requests)) })
	each("hopscope_retries_active", "Retries under way to a cluster.", metrics.Gauge,
		nil, func(c *cluster.Cluster, emit func(float64, ...string)) { emit(float64(c.Traffic().Retries)) })
	each("hopscope_retries_total", "Retries that a circuit breaker or a budget let through.", metrics.Counter,
		nil, func(c *cluster.Cluster, emit func(float64, ...string)) { emit(float64(c.Traffic().Retried)) })
	each("hopscope_circuit_breaker_refused_total", "Requests and retries that a circuit breaker, or a retry budget, did not let through.", metrics.Counter,
		[]string{"breaker"}, func(c *cluster.Cluster, emit func(float64, ...string)) {
			u := c.Traffic()
			emit(float64(u.RefusedRequests), "requests")
			emit(float64(u.RefusedRetries), "retries")
			emit(float64(c.Group.Stats().Overflow), "connections")
		})
}

// measured are the clusters that have metrics: those of the configuration, and those of
// the catalog that a request has come to. Most services of a catalog are never called, and
// a series for each of them in each proxy would be too many.
func (g *generation) measured() []*cluster.Cluster {
	return append(g.configured(), slices.DeleteFunc(g.clustersOf(resources.Catalog), func(c *cluster.Cluster) bool { return !c.Used() })...)
}

// measureBuffers registers the metric of what streams take beyond the usual buffers.
func (p *Proxy) measureBuffers() {
	p.metrics.Func("hopscope_large_buffers_bytes", "Read buffers above 16 KiB that are in use, by connections whose content streams fast; at most 67108864.", metrics.Gauge,
		[]string{"service"}, func(emit func(float64, ...string)) {
			emit(float64(p.shared.Lent()), p.current.Load().config.Service)
		})
}
