package snapshot

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/mesh/series"
	"github.com/hopscope/hopscope/proxy/admin"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/descriptors"
	"github.com/hopscope/hopscope/proxy/evidence"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/basicauth"
	"github.com/hopscope/hopscope/proxy/handover"
	"github.com/hopscope/hopscope/proxy/listener"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/panics"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/telemetry/accesslog"
	"github.com/hopscope/hopscope/telemetry/active"
	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/events"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/metrics"
	"github.com/hopscope/hopscope/telemetry/record"
	"github.com/hopscope/hopscope/telemetry/store"
	"github.com/hopscope/hopscope/telemetry/tail"
	"github.com/hopscope/hopscope/telemetry/tally"
)

// Options are what a proxy has besides its configuration.
type Options struct {
	Log   *slog.Logger
	Level *slog.LevelVar
	// Version is hopscope's own, for the admin API and the spans.
	Version string
	// Source is where the configuration comes from, for people; empty if that is not said.
	Source string
	// Reload is what a POST to the admin API's /reload does: it has the
	// configuration read again and passed to [Proxy.Reload], and returns what
	// that did, for encoding/json. Without it there is no /reload.
	Reload func() (any, error)
	// Inherited are the sockets of the process before. Start uses those whose address the
	// configuration has too, and closes the others, even if it fails.
	Inherited []handover.Socket
	// Activated are sockets that nobody has served before, for addresses of the
	// configuration. Start closes them if it fails.
	Activated []handover.Socket
	// Memory is what another process knew, by [Proxy.Memory]; nil for none.
	Memory []byte
	// LimitHeap sets the limit that Go's collector works toward; nil leaves it alone.
	LimitHeap func(bytes int64)
	// Filters run on every listener, before those that the configuration asks for.
	Filters []filter.Filter
}

// Proxy is a running proxy: what lives as long as the process, and the generation
// that was built of the present configuration.
type Proxy struct {
	options Options
	started time.Time

	shared       *netio.Shared
	budget       *listener.Budget // of clients' connections
	dialling     dialling
	causes       *diagnose.Causes
	active       *active.Table // the hops under way
	kernel       *evidence.Kernel
	panics       *panics.Counter
	events       *events.Ring
	service      string // of the first configuration: no reload changes it
	metrics      *metrics.Metrics
	logs         []*accesslog.Log // those that go to files
	recorded     accesslog.Recorded
	store        *store.Store // nil where it is off
	tally        *tally.Tally
	history      *series.Ring // of what was counted
	watcher      watcher      // of canaries
	tail         *tail.Tail
	recorder     *record.Recorder
	collectorTLS []exporterTLS
	droppers     []dropper // the recorder, and the views that count what they lost
	agents       agents    // of Consul
	passwords    *basicauth.Verifier

	registration *registration // nil where there is none; guarded by reloading
	byTag        *byTag

	current   atomic.Pointer[generation]
	reloading sync.Mutex // one reload at a time, and none while the proxy ends
	mu        sync.Mutex // over live
	// applying guards the clusters and secrets of generations, and what is known of
	// catalogs. It comes before mu, and before what clusters lock.
	applying    sync.Mutex
	memory      *memory // of before the start; nil once it has started
	keeper      keeper
	remembering atomic.Bool   // it has started, and keeps the cache
	informed    atomic.Bool   // it has known where requests go
	live        []*generation // those that have not drained, the current one last

	// context ends when the proxy stops waiting for anything. building is its child and
	// ends first, when the proxy begins to end: then no new configuration is waited for.
	context, building    context.Context
	cancel, stopBuilding context.CancelFunc

	guard         *guard   // of the admin API; nil where that is off
	mesh          *meshing // nil where there is none
	pins          *pinning // nil where no trace is pinned
	adminSocket   net.Listener
	adminReplaces []net.Listener // of another process
	takenOver     sync.Once
	alone         chan struct{} // closed when no other process accepts from the sockets
	adminServer   *admin.Server

	draining atomic.Bool   // set under reloading
	drain    chan struct{} // closed by a POST to /drain
	once     sync.Once
	closing  sync.Once
	closed   error
	served   sync.WaitGroup
}

// Start runs a valid configuration: it binds every address and serves. The error names
// the address that can't be bound. The caller closes the proxy.
func Start(c *config.Config, o Options) (*Proxy, error) {
	p := &Proxy{
		options: o, started: time.Now(),
		shared: netio.NewShared(), passwords: basicauth.NewVerifier(), causes: diagnose.NewCauses(1024), active: new(active.Table), kernel: evidence.New(o.Log), drain: make(chan struct{}),
		events: events.New(mostEvents), service: c.Service, history: series.New(),
	}
	p.byTag = &byTag{agents: &p.agents, log: o.Log, work: &p.served}
	p.noteOwn(events.Start, "the proxy started, version "+cmp.Or(o.Version, "unknown"))
	p.panics = panics.New(o.Log, func(text string) { p.noteOwn(events.Panic, text) })
	p.budget = listener.NewBudget(descriptors.Limit, o.Log)
	p.budget.Reclaim, p.budget.Note = p.reclaim, p.noteOwn
	p.alone = make(chan struct{})
	if len(o.Inherited) == 0 {
		p.takenOver.Do(func() { close(p.alone) })
	}
	p.options.Inherited = slices.Concat(o.Inherited, o.Activated)
	nothing := p.nothing()
	p.current.Store(nothing)
	p.context, p.cancel = context.WithCancel(context.Background())
	p.building, p.stopBuilding = context.WithCancel(p.context)
	if err := p.startViews(c); err != nil {
		p.closeCollectors()
		p.disinherit()
		p.cancel()
		return nil, err
	}
	p.limitMemory(c)
	p.recollect(&c.Discovery)
	p.reloading.Lock() // what is being built has series, too
	var g *generation
	base, err := resourcesOf(c)
	if err == nil {
		g, err = p.build(c, base, nothing)
	}
	if err == nil {
		p.adopt(g)
		err = p.bindAdmin(c)
	}
	p.memory = nil
	p.reloading.Unlock()
	p.disinherit()
	if err != nil {
		p.Close(context.Background())
		return nil, err
	}
	p.measure()
	p.measureTLS()
	p.measureProcess()
	p.measureAdmin()
	p.measureClusters()
	p.measureBuffers()
	p.measureRoutes()
	p.measureOverload()
	p.measureLimits()
	p.measureDescriptors()
	p.measureDiscovery()
	p.measurePins()
	p.measureGuards()
	p.metrics.Reloaded(nil)
	p.plan(c)
	p.serve(g, nothing)
	p.remembering.Store(true)
	p.served.Go(p.remember)
	p.served.Go(p.relieve)
	if p.adminServer != nil {
		p.served.Go(p.sample)
	}
	if p.pins != nil && p.mesh != nil {
		p.served.Go(p.tellPins)
	}
	if err := p.registerAnew(c, len(o.Inherited) > 0); err != nil {
		p.Close(context.Background())
		return nil, err
	}
	p.announceNames()
	p.serveAdmin()
	if err := p.mesh.register(p); err != nil {
		p.Close(context.Background())
		return nil, err
	}
	return p, nil
}

// Addr is the address that a listener is bound to, with its actual port. It is zero if
// there is no such listener.
func (p *Proxy) Addr(name string) netip.AddrPort {
	if b := p.current.Load().named(name); b != nil {
		return b.listener.Addr()
	}
	return netip.AddrPort{}
}

// AdminAddr is the address of the admin API. It is zero if that is off.
func (p *Proxy) AdminAddr() netip.AddrPort {
	if p.adminSocket == nil {
		return netip.AddrPort{}
	}
	return p.adminSocket.Addr().(*net.TCPAddr).AddrPort()
}

// AdminURL is where the admin API can be opened, or "" if that is off.
func (p *Proxy) AdminURL() string {
	switch {
	case p.adminSocket == nil:
		return ""
	case p.guard.server != nil:
		return "https://" + p.AdminAddr().String() + "/"
	}
	return "http://" + p.AdminAddr().String() + "/"
}

// Store keeps recent hops. It is nil if that is off.
func (p *Proxy) Store() *store.Store { return p.store }

// DrainRequested is closed when somebody asked for draining over the admin API.
func (p *Proxy) DrainRequested() <-chan struct{} { return p.drain }

// Metrics says what each metric of the proxy is.
func (p *Proxy) Metrics() []metrics.Description { return p.metrics.Describe() }

// Flush waits until everything that has been recorded shows in the views.
func (p *Proxy) Flush(ctx context.Context) error { return p.recorder.Flush(ctx) }

// ReopenLog reopens the files of the access logs.
func (p *Proxy) ReopenLog() error {
	var errs []error
	for _, l := range p.logs {
		errs = append(errs, l.Reopen())
	}
	return errors.Join(errs...)
}

// labels makes the labels of a route, with its series.
func (g *generation) labels(lc *config.Listener, r *resources.Route) *hop.Labels {
	l := g.label(lc, r)
	g.labelled = append(g.labelled, l)
	return l
}

// label is labels for a route that comes and goes.
func (g *generation) label(lc *config.Listener, r *resources.Route) *hop.Labels {
	t := &g.config.Telemetry
	l := &hop.Labels{
		Service: g.config.Service, Listener: lc.Name, Route: r.Name, Cluster: r.Cluster.Name,
		Slow: cmp.Or(r.Slow, t.SlowThreshold), Learn: r.Unnamed && t.LearnRoutes,
	}
	if lc.Direction == "outbound" {
		l.Direction = hop.Outbound
	}
	l.Metrics = g.metrics.Series(l)
	return l
}
