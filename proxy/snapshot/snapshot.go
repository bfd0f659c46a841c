package snapshot

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/forward"
	"github.com/hopscope/hopscope/proxy/listener"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/telemetry/accesslog"
	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/headers"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/metrics"
	"github.com/hopscope/hopscope/telemetry/record"
	"github.com/hopscope/hopscope/telemetry/store"
	"github.com/hopscope/hopscope/telemetry/tracecontext"
)

// Options are what a proxy has besides its configuration.
type Options struct {
	Log   *slog.Logger
	Level *slog.LevelVar
	// Version is hopscope's own, for the admin API and the spans.
	Version string
}

// Proxy is a running proxy.
type Proxy struct {
	config  *config.Config
	options Options
	started time.Time

	shared    *netio.Shared
	causes    *diagnose.Causes
	metrics   *metrics.Metrics
	log       *accesslog.Log // nil where it is off
	store     *store.Store   // nil where it is off
	recorder  *record.Recorder
	clusters  map[string]*cluster.Cluster
	egress    []*cluster.Cluster // those of forward proxies
	agents    agents
	listeners []*bound
	// credentials are the TLS settings in use.
	credentials []credentials

	// context ends when the proxy stops waiting for anything.
	context context.Context
	cancel  context.CancelFunc

	adminSocket net.Listener
	adminServer *http.Server

	draining atomic.Bool
	drain    chan struct{} // closed by a POST to /drain
	once     sync.Once
	closing  sync.Once
	closed   error
	served   sync.WaitGroup
}

// bound is a listener with its forwarder.
type bound struct {
	config    *config.Listener
	forwarder *forward.Forwarder
	listener  *listener.Listener
}

// Start makes a proxy of a valid configuration: it binds every address and
// serves. The error names the address that could not be bound. Whoever started
// it closes it.
func Start(c *config.Config, o Options) (*Proxy, error) {
	p := &Proxy{
		config: c, options: o, started: time.Now(),
		shared: netio.NewShared(), causes: diagnose.NewCauses(1024),
		clusters: map[string]*cluster.Cluster{}, drain: make(chan struct{}),
	}
	p.context, p.cancel = context.WithCancel(context.Background())
	if err := p.startViews(); err != nil {
		p.cancel()
		return nil, err
	}
	err := p.makeClusters()
	if err == nil {
		err = p.bindListeners()
	}
	if err == nil {
		err = p.bindAdmin()
	}
	if err != nil {
		p.Close(context.Background())
		return nil, err
	}
	p.measure()
	p.measureTLS()
	p.measureClusters()
	p.metrics.Reloaded(nil)
	for _, b := range p.listeners {
		p.served.Go(b.listener.Serve)
	}
	if p.adminServer != nil {
		p.served.Go(func() { p.adminServer.Serve(p.adminSocket) })
	}
	return p, nil
}

// makeClusters makes each cluster of the configuration.
func (p *Proxy) makeClusters() error {
	for name, cc := range p.config.Clusters {
		c, err := p.newCluster(name, &cc)
		if err != nil {
			return err
		}
		p.clusters[name] = c
	}
	return nil
}

// bindListeners makes each listener with its forwarder, and binds its address.
func (p *Proxy) bindListeners() error {
	t := &p.config.Telemetry.Traces
	propagation, err := tracecontext.NewPropagation(t.Extract, t.Inject)
	if err != nil {
		return err
	}
	status := headers.NewProxyStatus(p.config.Service)
	sampler := tracecontext.NewSampler(t.Sample)
	for i := range p.config.Listeners {
		lc := &p.config.Listeners[i]
		server, err := p.serverTLS(lc)
		if err != nil {
			return err
		}
		o, err := p.forwarding(lc, server, propagation, status, sampler)
		if err != nil {
			return err
		}
		f := forward.New(o)
		l, err := listener.Listen(p.listening(lc, server), f)
		if err != nil {
			return err
		}
		p.listeners = append(p.listeners, &bound{lc, f, l})
	}
	return nil
}

// Addr is the address that a listener is bound to, its port resolved; zero for
// a name that there is not.
func (p *Proxy) Addr(name string) netip.AddrPort {
	for _, b := range p.listeners {
		if b.config.Name == name {
			return b.listener.Addr()
		}
	}
	return netip.AddrPort{}
}

// AdminAddr is the address of the admin API, zero where it is off.
func (p *Proxy) AdminAddr() netip.AddrPort {
	if p.adminSocket == nil {
		return netip.AddrPort{}
	}
	return p.adminSocket.Addr().(*net.TCPAddr).AddrPort()
}

// Store is the memory of recent hops, nil where it is off.
func (p *Proxy) Store() *store.Store { return p.store }

// DrainRequested is closed when somebody asked for draining over the admin API.
func (p *Proxy) DrainRequested() <-chan struct{} { return p.drain }

// Flush returns when everything that has been recorded shows in the views.
func (p *Proxy) Flush(ctx context.Context) error { return p.recorder.Flush(ctx) }

// ReopenLog opens the access log's file anew.
func (p *Proxy) ReopenLog() error {
	if p.log == nil {
		return nil
	}
	return p.log.Reopen()
}

// Close drains the proxy until ctx is done, then cuts what is left, and shows
// what was recorded in every view. A second call waits for the first.
func (p *Proxy) Close(ctx context.Context) error {
	p.closing.Do(func() { p.closed = p.close(ctx) })
	return p.closed
}

func (p *Proxy) close(ctx context.Context) error {
	p.draining.Store(true)
	defer context.AfterFunc(ctx, p.cancel)() // nothing is waited for any more
	var wg sync.WaitGroup
	for _, b := range p.listeners {
		wg.Go(func() { b.listener.Drain(ctx) })
	}
	wg.Wait()
	p.cancel()
	for _, c := range p.clusters {
		c.Close()
	}
	for _, c := range p.egress {
		c.Close()
	}
	for _, c := range p.credentials {
		c.source.Close()
	}
	// The views have a moment of their own, also where ctx is long done.
	flush, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := p.recorder.Close(flush)
	if p.adminServer != nil {
		// The answer to a POST of /drain may still be on its way.
		last, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if p.adminServer.Shutdown(last) != nil {
			err = errors.Join(err, p.adminServer.Close())
		}
	} else if p.adminSocket != nil {
		err = errors.Join(err, p.adminSocket.Close())
	}
	p.served.Wait()
	return err
}

// labels makes the labels of a route, with its series.
func (p *Proxy) labels(lc *config.Listener, route, cluster string, slow time.Duration) *hop.Labels {
	l := &hop.Labels{Service: p.config.Service, Listener: lc.Name, Route: route, Cluster: cluster, Slow: slow}
	if lc.Direction == "outbound" {
		l.Direction = hop.Outbound
	}
	if slow == 0 {
		l.Slow = p.config.Telemetry.SlowThreshold
	}
	l.Metrics = p.metrics.Series(l)
	return l
}

// openFiles is how many descriptors the process may have.
func openFiles() int {
	limit, err := fileLimit()
	if err != nil {
		return 1024
	}
	return limit
}
