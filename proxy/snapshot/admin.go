package snapshot

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/hopscope/hopscope/proxy/admin"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/descriptors"
	"github.com/hopscope/hopscope/proxy/handover"
)

// bindAdmin binds the admin API's address.
func (p *Proxy) bindAdmin(c *config.Config) error {
	address := c.Admin.Address
	if address == "off" {
		return nil
	}
	socket, replaces, err := p.adminPlace(address)
	if err != nil {
		return fmt.Errorf("admin: %w; choose another admin.address (--admin), or \"off\"", err)
	}
	p.adminSocket, p.adminReplaces = socket, replaces
	process := rand.Text()
	if p.guard, err = p.guardAdmin(c); err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	if p.mesh, err = p.joinMesh(c, process); err != nil {
		return fmt.Errorf("mesh: %w", err)
	}
	o := admin.Options{
		Service: c.Service, Instance: p.instance(c), Address: p.AdminAddr().String(), Process: process, Mesh: p.mesh.options(), Access: p.guard.access,
		Version: p.options.Version, Started: p.started,
		Log: p.options.Log, Panics: p.panics, Active: p.active, Level: p.options.Level,
		Metrics: p.metrics.Handler(), Ready: p.ready, Dropped: p.dropped,
		Clusters: p.clustersState, Catalog: p.catalogState, Act: p.act, Guards: p.guardsOf, ResetGuards: p.resetGuards, Listeners: p.listenersState, Routes: p.routesState,
		ConfigDump: func() ([]byte, error) { return p.current.Load().config.DumpJSON(), nil },
		Top:        p.top, Tail: p.tail, Drain: p.requestDrain, Reload: p.options.Reload, Events: p.eventsSince, Series: p.seriesUntil, Config: p.shown, Explain: p.Explain,
	}
	if p.store != nil {
		o.Trace, o.Traces, o.Why = p.store.Trace, p.store.Traces, p.digest
		o.Strays, o.ExplainHops = p.strays, p.explainHops
		o.Store = func() any { return p.store.Stats() }
	}
	if p.pins != nil {
		o.Pin = p.pin
	}
	p.adminServer = admin.NewServer(admin.New(o), p.options.Log, func() int {
		// Half of the descriptors that traffic leaves are for the admin API.
		return max(descriptors.Reserve(descriptors.Limit())/2, 4)
	})
	p.adminServer.TLS = p.guard.tls()
	return nil
}

// adminPlace returns the socket of the admin API, and copies of the sockets of another
// process that it replaces.
func (p *Proxy) adminPlace(address string) (socket net.Listener, replaces []net.Listener, err error) {
	if socket = p.inherit(ofAdmin, "", address); socket != nil {
		return socket, nil, nil
	}
	if socket, err = handover.Bind(address); !errors.Is(err, syscall.EADDRINUSE) {
		return socket, nil, err
	}
	socket, overlapping := p.inheritBound(address)
	switch {
	case socket != nil:
		return socket, nil, nil
	case len(overlapping) == 0:
		return nil, nil, err
	}
	if socket, err = handover.Bind(address, overlapping...); err != nil {
		return nil, nil, err
	}
	for _, s := range overlapping {
		if own, err := handover.Dup(s); err == nil { // else the other process serves it to its end
			replaces = append(replaces, own)
		}
	}
	return socket, replaces, nil
}

// serveAdmin serves the admin API. For a time it also serves the sockets that its own
// replaces.
func (p *Proxy) serveAdmin() {
	if p.adminServer == nil {
		return
	}
	p.served.Go(func() { p.adminServer.Serve(p.adminSocket) })
	for _, s := range p.adminReplaces {
		p.served.Go(func() { p.adminServer.Serve(s) })
		p.served.Go(func() {
			select {
			case <-p.alone:
				handover.Leave(s, p.context.Done())
			case <-p.context.Done():
				s.Close()
			}
		})
	}
}

// requestDrain stops accepting at once, and closes the channel of DrainRequested.
func (p *Proxy) requestDrain() {
	p.once.Do(func() {
		for _, l := range p.stopReloading() {
			l.StopAccepting()
		}
		close(p.drain)
	})
}

// clusterState is a cluster as /clusters shows it.
type clusterState struct {
	cluster.Status
	Connections poolState `json:"connections"`
	// High is what there is to say of requests of high priority; nil while none has come.
	High *highState `json:"high,omitempty"`
}

// highState is what [cluster.Status] and poolState say of ordinary requests.
type highState struct {
	Requests        int64     `json:"requests_active"`
	Retries         int64     `json:"retries_active"`
	Retried         uint64    `json:"retries_total"`
	RefusedRequests uint64    `json:"requests_refused_total"`
	RefusedRetries  uint64    `json:"retries_refused_total"`
	Connections     poolState `json:"connections"`
}

type poolState struct {
	Active   int    `json:"active"`
	Idle     int    `json:"idle"`
	Pending  int    `json:"requests_pending"`
	Dialled  uint64 `json:"dialled_total"`
	Reused   uint64 `json:"reused_total"`
	Overflow uint64 `json:"refused_total"`
}

func (p *Proxy) clustersState() any {
	all := []clusterState{}
	for _, c := range p.current.Load().allClusters() {
		s := clusterState{Status: c.Status(), Connections: poolOf(c, cluster.Default)}
		c.Priorities(func(of cluster.Priority) {
			if of == cluster.High {
				t := c.Traffic(of)
				s.High = &highState{t.Requests, t.Retries, t.Retried, t.RefusedRequests, t.RefusedRetries, poolOf(c, of)}
			}
		})
		all = append(all, s)
	}
	return all
}

func poolOf(c *cluster.Cluster, of cluster.Priority) poolState {
	s := c.Connections(of).Stats()
	return poolState{s.Active, s.Idle, s.Pending, s.Dialled, s.Reused, s.Overflow}
}

// act does to an endpoint what somebody asked the admin API for. It fails if there is no
// such cluster or endpoint.
func (p *Proxy) act(name, address, action string) error {
	for _, c := range p.current.Load().allClusters() {
		if c.Name == name {
			return c.Act(address, cluster.Action(action))
		}
	}
	return fmt.Errorf("there is no cluster %s", name)
}

// listenerState is a listener as /listeners shows it.
type listenerState struct {
	Name         string `json:"name"`
	Address      string `json:"address"`
	Direction    string `json:"direction"`
	ForwardProxy bool   `json:"forward_proxy"`
	Routes       int    `json:"routes"`
	Connections  int64  `json:"connections_active"`
	Accepted     uint64 `json:"connections_total"`
	Requests     int64  `json:"requests_active"`
	Draining     bool   `json:"draining"`
}

func (p *Proxy) listenersState() any {
	all, traffic := []listenerState{}, p.traffic()
	for _, b := range p.current.Load().listeners {
		all = append(all, listenerState{
			b.config.Name, b.listener.Addr().String(), b.config.Direction, b.config.ForwardProxy != nil, len(b.config.Routes),
			b.listener.Active.Load(), b.listener.Accepted.Load(), traffic[b.config.Name].requests, p.draining.Load(),
		})
	}
	return all
}
