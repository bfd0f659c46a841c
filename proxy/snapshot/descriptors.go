package snapshot

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"

	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/descriptors"
	"github.com/hopscope/hopscope/telemetry/events"
	"github.com/hopscope/hopscope/telemetry/metrics"
)

// dialling is how connections to endpoints are opened.
type dialling struct {
	short  atomic.Uint64 // how often there was no descriptor, no memory or no port for one
	notice descriptors.Notice
}

// dial opens a connection to an endpoint. If there are no descriptors left, it closes
// unused pooled connections to make room.
func (p *Proxy) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := descriptors.Dialer(p.budget.Limit, p.budget.Unused)
	nc, err := dialer.DialContext(ctx, network, address)
	if err != nil && descriptors.Lacks(err) && (p.budget.Renew() || p.reclaim() > 0) {
		nc, err = dialer.DialContext(ctx, network, address)
	}
	if err == nil {
		return nc, nil
	}
	if s, remedy := descriptors.OfDial(err); s != descriptors.None {
		p.dialling.short.Add(1)
		p.dialling.notice.Happened(func(times uint64) {
			p.options.Log.Warn("connections to endpoints can't be opened", "endpoint", address, "because", remedy, "error", err, "times", times)
			p.noteOwn(events.Shortage, fmt.Sprintf("connections to endpoints can't be opened: %v; %s", err, remedy))
		})
	}
	return nil, err
}

// reclaimed is how many pooled connections are closed at once to make room.
const reclaimed = 8

// reclaim closes some pooled connections, and returns how many.
func (p *Proxy) reclaim() (closed int) {
	for _, c := range p.current.Load().allClusters() {
		if closed += c.Reclaim(reclaimed - closed); closed >= reclaimed {
			break
		}
	}
	return closed
}

// aFew is the number of descriptors that come and go, or are opened later.
const aFew = 4

// plan sets the budget for clients' connections by a configuration, and by what is open
// beside traffic: listening sockets, logs, health checks, discovery.
func (p *Proxy) plan(c *config.Config) {
	wanted := 0
	for _, l := range c.Listeners {
		wanted += l.MaxConnections
	}
	traffic := p.budget.Open()
	for _, c := range p.current.Load().allClusters() {
		c.Priorities(func(of cluster.Priority) {
			s := c.Connections(of).Stats()
			traffic += s.Active + s.Idle
		})
	}
	p.budget.Set(wanted, max(descriptors.Open()-traffic, 0)+aFew)
	if most := p.budget.Most(); wanted > most {
		p.options.Log.Warn("the listeners' max_connections are more than the limit on open files leaves to clients: raise ulimit -n (LimitNOFILE= of systemd)",
			"max_connections", wanted, "most", most, "open_files", descriptors.Limit())
	}
}

// measureDescriptors registers the metrics of how the limit on open files is divided.
func (p *Proxy) measureDescriptors() {
	service := p.current.Load().config.Service
	read := func(name, help string, kind metrics.Kind, value func() float64) {
		p.metrics.Func(name, help, kind, []string{"service"}, func(emit func(float64, ...string)) { emit(value(), service) })
	}
	read("hopscope_open_files_limit", "How many descriptors the process may have open: ulimit -n.", metrics.Gauge,
		func() float64 { return float64(descriptors.Limit()) })
	read("hopscope_downstream_connections_limit", "How many connections of clients may be open, of all listeners together.", metrics.Gauge,
		func() float64 { return float64(p.budget.Most()) })
	read("hopscope_downstream_connections_dismissed_total", "Idle connections of clients that were closed to make room for others.", metrics.Counter,
		func() float64 { return float64(p.budget.Closed()) })
	p.metrics.Func("hopscope_shortages_total", "Connections that could not be accepted, or not be opened to an endpoint, since this machine had no descriptor, no memory or no port left.", metrics.Counter,
		[]string{"service", "of"}, func(emit func(float64, ...string)) {
			emit(float64(p.budget.Short()), service, "accept")
			emit(float64(p.dialling.short.Load()), service, "dial")
		})
}
