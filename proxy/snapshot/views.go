package snapshot

import (
	"slices"
	"time"

	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/upstream"
	"github.com/hopscope/hopscope/telemetry/events"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/metrics"
	"github.com/hopscope/hopscope/telemetry/paths"
	"github.com/hopscope/hopscope/telemetry/record"
	"github.com/hopscope/hopscope/telemetry/spans"
	"github.com/hopscope/hopscope/telemetry/store"
	"github.com/hopscope/hopscope/telemetry/tail"
	"github.com/hopscope/hopscope/telemetry/tally"
)

// dropper is a view that counts what it lost, by view, reason and, where it has several,
// exporter.
type dropper interface {
	Dropped(emit func(value float64, labelValues ...string))
}

// mostRoutes is how many routes are learned of a service.
const mostRoutes = 100

// startViews makes the views, and the recorder that shows each Hop to them.
func (p *Proxy) startViews(c *config.Config) error {
	t := &c.Telemetry
	p.metrics = metrics.New(metrics.Options{Service: c.Service, NativeHistograms: t.Metrics.NativeHistograms, Version: p.options.Version})
	p.tally, p.tail, p.watcher.proxy = tally.New(p.started), tail.New(), p
	views := []record.View{paths.New(mostRoutes), p.metrics, events.View{Ring: p.events}, p.tally, p.tail, &p.watcher}
	logs, err := p.openLogs(t)
	if err != nil {
		return err
	}
	views = append(views, logs...)
	exporters, err := p.exporters(&t.Traces)
	if err != nil {
		closeViews(logs)
		return err
	}
	var exported *spans.Spans
	if len(exporters) > 0 {
		exported = spans.New(exporters, spans.Options{Version: p.options.Version, Attributes: t.ResourceAttributes, Log: p.options.Log})
		views = append(views, exported)
	}
	if t.Store.MaxBytes > 0 {
		p.store = store.New(t.Store.MaxBytes)
		views = append(views, p.store)
	}
	if p.pins = p.pinner(c, exported); p.pins != nil {
		views = slices.Insert(views, 1, record.View(p.pins)) // the others go by what it says; it shows routes that were learned
	}
	p.recorder = record.New(views, record.Options{Log: p.options.Log})
	p.droppers = []dropper{p.recorder}
	for _, v := range views {
		if d, ok := v.(dropper); ok {
			p.droppers = append(p.droppers, d)
		}
	}
	p.metrics.Func("hopscope_panics_total", "Panics of the proxy, each of which cost a request or a connection. There is none without a defect: the log has the stack.", metrics.Counter,
		[]string{"service"}, func(emit func(float64, ...string)) {
			emit(float64(p.panics.Total()), p.current.Load().config.Service)
		})
	p.metrics.Func("hopscope_lost_context_calls_total", "Calls of the service that began a trace of their own while it answered a request: it does not pass the trace context on. Calls that it makes of its own accord look the same.", metrics.Counter,
		[]string{"service"}, func(emit func(float64, ...string)) { emit(float64(p.tally.Lost()), p.service) })
	p.metrics.Func("hopscope_telemetry_dropped_total", "Hops, or what was made of them, that a view lost.",
		metrics.Counter, []string{"service", "view", "reason", "exporter"}, func(emit func(float64, ...string)) {
			for _, d := range p.droppers {
				d.Dropped(func(value float64, labels ...string) {
					if len(labels) < 3 {
						labels = append(labels, "") // it has no exporters
					}
					emit(value, append([]string{p.service}, labels...)...)
				})
			}
		})
	return nil
}

// dropped returns what each view has lost, by reason, with the sum as "total".
func (p *Proxy) dropped() map[string]map[string]uint64 {
	all := map[string]map[string]uint64{}
	for _, d := range p.droppers {
		d.Dropped(func(value float64, labels ...string) {
			if n := uint64(value); n > 0 {
				view, reason := labels[0], labels[1]
				if all[view] == nil {
					all[view] = map[string]uint64{}
				}
				all[view][reason] += n
				all[view]["total"] += n
			}
		})
	}
	return all
}

// sink is where the n-th connection records its Hops.
func (p *Proxy) sink(n uint64) hop.Sink { return p.recorder.Sink(int(n % (1 << 30))) }

// measure registers the metrics of the data plane, which are read at each scrape.
func (p *Proxy) measure() {
	service := p.current.Load().config.Service
	ofListeners := func(name, help string, kind metrics.Kind, read func(traffic) float64) {
		p.metrics.Func(name, help, kind, []string{"service", "direction", "listener"}, func(emit func(float64, ...string)) {
			for name, t := range p.traffic() {
				emit(read(t), service, t.direction, name)
			}
		})
	}
	ofListeners("hopscope_downstream_requests_active", "Requests on their way.", metrics.Gauge, func(t traffic) float64 { return float64(t.requests) })
	ofListeners("hopscope_downstream_connections_active", "Connections from clients that are open.", metrics.Gauge,
		func(t traffic) float64 { return float64(t.Active.Load()) })
	ofListeners("hopscope_listener_connections_limit", "Connections from clients that a listener may have open; 0 is no limit of its own.", metrics.Gauge,
		func(t traffic) float64 { return float64(t.limit) })
	ofListeners("hopscope_downstream_connections_total", "Connections accepted from clients.", metrics.Counter,
		func(t traffic) float64 { return float64(t.Accepted.Load()) })
	ofListeners("hopscope_downstream_connections_distrusted_total", "Connections that had to end since the client's certificate is not trusted any more.", metrics.Counter,
		func(t traffic) float64 { return float64(t.Distrusted.Load()) })
	p.metrics.Func("hopscope_slow_requests_active", "Requests on their way that have already taken their route's slow threshold; absent while none is on its way.", metrics.Gauge,
		[]string{"service", "direction"}, func(emit func(float64, ...string)) {
			p.active.Slow(time.Now(), func(service string, d hop.Direction, n int) { emit(float64(n), service, d.String()) })
		})
	pools := func(emit func(cluster, priority string, s upstream.Stats)) {
		for _, c := range p.current.Load().measured() {
			c.Priorities(func(of cluster.Priority) { emit(c.Name, of.String(), c.Connections(of).Stats()) })
		}
	}
	p.metrics.Func("hopscope_upstream_connections", "Connections to a cluster's endpoints, by state.", metrics.Gauge,
		[]string{"service", "cluster", "priority", "state"}, func(emit func(float64, ...string)) {
			pools(func(cluster, priority string, s upstream.Stats) {
				emit(float64(s.Active), service, cluster, priority, "active")
				emit(float64(s.Idle), service, cluster, priority, "idle")
			})
		})
	p.metrics.Func("hopscope_upstream_requests_pending", "Requests that wait for a connection.", metrics.Gauge,
		[]string{"service", "cluster", "priority"}, func(emit func(float64, ...string)) {
			pools(func(cluster, priority string, s upstream.Stats) { emit(float64(s.Pending), service, cluster, priority) })
		})
	p.metrics.Func("hopscope_upstream_connections_total", "Connections handed to requests, by where they came from.", metrics.Counter,
		[]string{"service", "cluster", "priority", "source"}, func(emit func(float64, ...string)) {
			pools(func(cluster, priority string, s upstream.Stats) {
				emit(float64(s.Dialled), service, cluster, priority, "dialled")
				emit(float64(s.Reused), service, cluster, priority, "pool")
				emit(float64(s.Overflow), service, cluster, priority, "refused")
			})
		})
}
