package snapshot

import (
	"slices"

	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/telemetry/metrics"
	"github.com/hopscope/hopscope/telemetry/store"
)

// eachCluster registers a metric that read emits of each of these clusters. It is read at
// each scrape, and has the labels service and cluster before labels.
func (p *Proxy) eachCluster(these func(*generation) []*cluster.Cluster, name, help string, kind metrics.Kind, labels []string, read func(c *cluster.Cluster, emit func(float64, ...string))) {
	p.metrics.Func(name, help, kind, append([]string{"service", "cluster"}, labels...), func(emit func(float64, ...string)) {
		service := p.current.Load().config.Service
		for _, c := range these(p.current.Load()) {
			read(c, func(value float64, labels ...string) {
				emit(value, append([]string{service, c.Name}, labels...)...)
			})
		}
	})
}

// measureClusters registers the metrics of clusters: their endpoints, what is under way,
// and how much of it their circuit breakers let through.
func (p *Proxy) measureClusters() {
	each := func(name, help string, kind metrics.Kind, labels []string, read func(c *cluster.Cluster, emit func(float64, ...string))) {
		p.eachCluster((*generation).measured, name, help, kind, labels, read)
	}
	p.eachCluster((*generation).listed, "hopscope_endpoints", "Endpoints of a cluster by health; those that are unchecked wait for their first health check, and those that are excluded are out of service in its source, or by hand.", metrics.Gauge,
		[]string{"health"}, func(c *cluster.Cluster, emit func(float64, ...string)) {
			healths, _ := c.Healths()
			for health, n := range healths {
				emit(float64(n), health)
			}
		})
	p.eachCluster((*generation).listed, "hopscope_endpoints_ejected", "Endpoints that are ejected as outliers, or by hand.", metrics.Gauge,
		nil, func(c *cluster.Cluster, emit func(float64, ...string)) {
			_, ejected := c.Healths()
			emit(float64(ejected))
		})
	p.eachCluster((*generation).listed, "hopscope_cluster_panic", "1 while fewer endpoints of a cluster are available than its panic threshold asks for, so that all are used, those that are not well too.", metrics.Gauge,
		nil, func(c *cluster.Cluster, emit func(float64, ...string)) { emit(number(c.Panics())) })
	each("hopscope_outlier_events_total", "What outlier detection did: ejected, unejected, not_enforced, overflow; by reason.", metrics.Counter,
		[]string{"event", "reason"}, func(c *cluster.Cluster, emit func(float64, ...string)) {
			c.Ejections(func(event, reason string, n uint64) { emit(float64(n), event, reason) })
		})
	each("hopscope_picks_total", "Remarkable choices of an endpoint: panic, degraded, failover, cross_zone, subset_fallback, repeated, unchecked, session.", metrics.Counter,
		[]string{"outcome"}, func(c *cluster.Cluster, emit func(float64, ...string)) {
			c.Picks(func(outcome string, n uint64) { emit(float64(n), outcome) })
		})
	breakers := func(name, help string, kind metrics.Kind, labels []string, read func(c *cluster.Cluster, of cluster.Priority, emit func(float64, ...string))) {
		each(name, help, kind, append([]string{"priority"}, labels...), func(c *cluster.Cluster, emit func(float64, ...string)) {
			c.Priorities(func(of cluster.Priority) {
				read(c, of, func(value float64, labels ...string) { emit(value, append([]string{of.String()}, labels...)...) })
			})
		})
	}
	breakers("hopscope_upstream_requests_active", "Requests under way to a cluster.", metrics.Gauge,
		nil, func(c *cluster.Cluster, of cluster.Priority, emit func(float64, ...string)) {
			emit(float64(c.Traffic(of).Requests))
		})
	breakers("hopscope_retries_active", "Retries under way to a cluster.", metrics.Gauge,
		nil, func(c *cluster.Cluster, of cluster.Priority, emit func(float64, ...string)) {
			emit(float64(c.Traffic(of).Retries))
		})
	breakers("hopscope_retries_total", "Retries that a circuit breaker or a budget let through.", metrics.Counter,
		nil, func(c *cluster.Cluster, of cluster.Priority, emit func(float64, ...string)) {
			emit(float64(c.Traffic(of).Retried))
		})
	breakers("hopscope_circuit_breaker_refused_total", "Requests and retries that a circuit breaker, or a retry budget, did not let through.", metrics.Counter,
		[]string{"breaker"}, func(c *cluster.Cluster, of cluster.Priority, emit func(float64, ...string)) {
			u := c.Traffic(of)
			emit(float64(u.RefusedRequests), "requests")
			emit(float64(u.RefusedRetries), "retries")
			emit(float64(c.Connections(of).Stats().Overflow), "connections")
		})
	breakers("hopscope_circuit_breaker_limit", "How many requests, retries and connections of a cluster a circuit breaker lets through at once, and how many requests may wait for a connection (pending). There is none for retries where a budget bounds them.", metrics.Gauge,
		[]string{"breaker"}, func(c *cluster.Cluster, of cluster.Priority, emit func(float64, ...string)) {
			l := c.Limits(of)
			emit(float64(l.MaxRequests), "requests")
			emit(float64(l.MaxConnections), "connections")
			emit(float64(l.MaxPending), "pending")
			if r := p.current.Load().retries[c.Name]; r == nil || r.Budget == nil {
				emit(float64(l.MaxRetries), "retries")
			}
		})
}

// measured are the clusters that have metrics: those that are listed, and those of forward
// proxies.
func (g *generation) measured() []*cluster.Cluster {
	return append(g.listed(), g.clustersOf(resources.ForwardProxy)...)
}

// listed are the clusters whose endpoints are listed somewhere, which have metrics: those of
// the configuration, and those of the catalog that a request has come to. Most services of a catalog are never called, and
// a series for each of them in each proxy would be too many.
func (g *generation) listed() []*cluster.Cluster {
	return append(g.clustersOf(resources.Configuration), slices.DeleteFunc(g.clustersOf(resources.Catalog), func(c *cluster.Cluster) bool { return !c.Used() })...)
}

// measureBuffers registers the metric of what streams take beyond the usual buffers.
func (p *Proxy) measureBuffers() {
	p.metrics.Func("hopscope_large_buffers_bytes", "Read buffers above 16 KiB that are in use, by connections whose content streams fast; at most 67108864.", metrics.Gauge,
		[]string{"service"}, func(emit func(float64, ...string)) {
			emit(float64(p.shared.Lent()), p.current.Load().config.Service)
		})
}

// measureProcess registers what the proxy as a whole is like: the configuration that it
// runs, whether it takes traffic, and what it remembers.
func (p *Proxy) measureProcess() {
	p.metrics.Func("hopscope_config_info", "Always 1; hash is that of the configuration in force, secrets left out. Proxies with the same configuration have the same.", metrics.Gauge,
		[]string{"service", "hash"}, func(emit func(float64, ...string)) { emit(1, p.service, p.current.Load().hash) })
	one := func(name, help string, read func() float64) {
		p.metrics.Func(name, help, metrics.Gauge, []string{"service"}, func(emit func(float64, ...string)) { emit(read(), p.service) })
	}
	one("hopscope_ready", "1 while the proxy takes traffic, as /ready says: not while it drains, nor before it knows where requests go.", func() float64 {
		ready, _ := p.ready()
		return number(ready)
	})
	one("hopscope_draining", "1 while the proxy drains: it takes no new connections, and ends.", func() float64 { return number(p.draining.Load()) })
	stored := func(name, help string, read func(s store.Stats) float64) {
		p.metrics.Func(name, help, metrics.Gauge, []string{"service"}, func(emit func(float64, ...string)) {
			if p.store != nil {
				emit(read(p.store.Stats()), p.service)
			}
		})
	}
	stored("hopscope_store_hops", "Recent hops that are kept for traces and hopscope why.", func(s store.Stats) float64 { return float64(s.Hops) })
	stored("hopscope_store_bytes", "Memory that recent hops take.", func(s store.Stats) float64 { return float64(s.Bytes) })
	stored("hopscope_store_limit_bytes", "Memory that recent hops may take.", func(s store.Stats) float64 { return float64(s.MaxBytes) })
	stored("hopscope_store_sample_ratio", "Share of hops that went well and were not slow that is kept; below 1 where there are too many. Those that failed or were slow are kept all.", func(s store.Stats) float64 { return s.Sample })
}
