package snapshot

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/forward"
	"github.com/hopscope/hopscope/proxy/listener"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/proxy/tlsconf"
	"github.com/hopscope/hopscope/telemetry/headers"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/tracecontext"
)

// generation is what runs for one configuration. Once it is in use, only what comes
// from the catalog changes in it. It shares with the next generation what a reload does
// not change.
type generation struct {
	*Proxy
	config    *config.Config
	hash      string                    // of config
	loaded    time.Time                 // when it was built
	base      *resources.Set            // what the configuration says
	retries   map[string]*forward.Retry // those of clusters: a budget is shared by all routes
	chains    map[string]filter.Handler // of the routes' filters, by their policies
	limited   limited                   // what its routes' limits have counted
	listeners []*bound
	late      []late       // of the listeners, those that are still to be bound
	catalog   *catalogView // nil where no listener serves one
	// labelled are the labels of the configuration's routes.
	labelled []*hop.Labels
	guards   []*guarded           // of the configuration's routes
	sampler  tracecontext.Sampler // of traces that begin here
	// unreached are the routes of listeners that no request takes, once somebody asks.
	unreached unreached

	// The rest changes with the catalog, and is guarded by Proxy.applying.

	// before is the generation in whose place this one comes, until that is released.
	before *generation
	// set is what the generation runs: base, and what the catalog says.
	set      *resources.Set
	clusters map[resources.ID]*running
	secrets  map[resources.SecretID]*credentials
	routed   bool // listeners have routes of the catalog
	left     bool // the clusters have been let go of
	// fromCatalog are the labels of the catalog's routes, after so many commits;
	// guarded by Proxy.mu.
	fromCatalog []*hop.Labels
	commits     int
}

// bound is a listener with its forwarder.
type bound struct {
	config    *config.Listener
	forwarder *forward.Forwarder
	listener  *listener.Listener
}

// nothing is the generation before the first.
func (p *Proxy) nothing() *generation {
	return &generation{Proxy: p, config: &config.Config{}, base: &resources.Set{}, set: &resources.Set{}}
}

// build makes the generation of a configuration, whose resources are base. It begins
// with what the old generation has, makes what is new, and waits for that. It does not
// change the old one, and leaves nothing behind if it fails. The error has a line for
// each mistake.
func (p *Proxy) build(c *config.Config, base *resources.Set, old *generation) (*generation, error) {
	g := &generation{
		Proxy: p, config: c, hash: c.Hash(), loaded: time.Now(), base: base,
		retries: map[string]*forward.Retry{}, chains: map[string]filter.Handler{},
		clusters: map[resources.ID]*running{}, secrets: map[resources.SecretID]*credentials{},
	}
	g.fork(old)
	err := errors.Join(g.makeClusters(old), g.makeListeners(old, resources.Diff(old.base, base)))
	if err == nil {
		err = g.serveCatalog(old)
	}
	if err == nil {
		err = g.warm()
	}
	if err == nil {
		err = g.bindLate()
	}
	if err != nil {
		g.release()
		g.unbind(old)
		return nil, err
	}
	g.late = nil
	return g, nil
}

// warmLimit is how long a new configuration waits until its clusters know their
// endpoints and their health.
const warmLimit = 5 * time.Second

// warm waits for new clusters, so that the first requests find endpoints. After the
// limit it goes on without them. It fails if the proxy begins to end.
func (g *generation) warm() error {
	ctx, cancel := context.WithTimeout(g.building, warmLimit)
	defer cancel()
	late := func(what string, args ...any) {
		if g.building.Err() == nil {
			g.options.Log.Warn(what, append(args, "waited", warmLimit)...)
		}
	}
	if c := g.catalog; c != nil && c.isNew && !c.follower.wait(ctx) {
		late("the catalog has not answered in time")
	}
	for _, c := range g.fresh() {
		if !c.Ready(ctx) {
			late("a cluster does not know its endpoints in time", "cluster", c.Name)
		}
	}
	if g.building.Err() != nil {
		return errDraining
	}
	return nil
}

// fresh returns the clusters that the generation before does not have.
func (g *generation) fresh() (all []*cluster.Cluster) {
	g.applying.Lock()
	defer g.applying.Unlock()
	for _, r := range g.sorted() {
		if g.before.running(r.of.ID) != r {
			all = append(all, r.cluster)
		}
	}
	return all
}

// makeClusters makes the configuration's new clusters and their TLS. It keeps what the
// old generation has of the catalog.
func (g *generation) makeClusters(old *generation) error {
	for name := range g.config.Clusters {
		g.retries[name] = g.retriesOf(name, old)
	}
	g.applying.Lock()
	defer g.applying.Unlock()
	var mistakes []error
	for _, m := range g.apply(g.base.Join(g.set.Of(resources.Catalog))) {
		mistakes = append(mistakes, m)
	}
	return errors.Join(mistakes...)
}

// cluster is the running cluster of a name, nil for none.
func (g *generation) cluster(origin resources.Origin, name string) *cluster.Cluster {
	if r := g.clusters[resources.ID{Origin: origin, Name: name}]; r != nil {
		return r.cluster
	}
	return nil
}

// retriesOf returns a cluster's retry policy. If it is the same as before, so is its
// budget.
func (g *generation) retriesOf(name string, old *generation) *forward.Retry {
	now := g.config.Clusters[name].Retry
	if then, ok := old.config.Clusters[name]; ok && reflect.DeepEqual(now, then.Retry) {
		return old.retries[name]
	}
	return retryPolicy(now)
}

// makeListeners makes each listener with its forwarder, and binds its address
// unless the socket is here. d is what changed since the old generation.
func (g *generation) makeListeners(old *generation, d *resources.Delta) error {
	t := &g.config.Telemetry.Traces
	propagation, err := tracecontext.NewPropagation(t.Extract, t.Inject)
	if err != nil {
		return err
	}
	propagation.Mark = tracecontext.NewMark(g.config.MeshName())
	status := headers.NewProxyStatus(g.config.Service)
	g.sampler = samplerOf(t, &old.config.Telemetry.Traces, old.sampler)
	places := g.places(old)
	defer places.close()
	var mistakes []error
	for i := range g.config.Listeners {
		lc := &g.config.Listeners[i]
		var server *tlsconf.Server
		if lc.TLS != nil {
			c := g.credential(resources.ServerSecret(lc.Name))
			if c == nil {
				continue // it could not be made
			}
			server = c.server
		}
		o := g.forwarding(lc, server, propagation, status)
		if b := old.named(lc.Name); b != nil && o.Egress != nil && reflect.DeepEqual(b.config.ForwardProxy, lc.ForwardProxy) {
			o.Egress.Rules = b.forwarder.Egress.Rules // so that its connections are used on
		}
		f := forward.New(o)
		b, err := g.makeListener(lc, server, f, old, places, d)
		if err != nil {
			mistakes = append(mistakes, err)
			continue
		}
		g.listeners = append(g.listeners, b)
	}
	return errors.Join(mistakes...)
}

// samplerOf returns what decides on traces that begin here. If its settings are as they
// were, so is what its limit has counted.
func samplerOf(now, then *config.Traces, before tracecontext.Sampler) tracecontext.Sampler {
	if now.Sample == then.Sample && now.MaxPerSecond == then.MaxPerSecond {
		return before
	}
	s := tracecontext.NewSampler(now.Sample)
	if now.MaxPerSecond > 0 {
		s = s.Limited(now.MaxPerSecond, time.Now())
	}
	return s
}

// makeListener makes a listener, or takes the old one if its socket, and how connections
// are read, are the same. A listener that has to be bound last is not made yet.
func (g *generation) makeListener(lc *config.Listener, server *tlsconf.Server, f *forward.Forwarder, old *generation, places *places, d *resources.Delta) (*bound, error) {
	b := &bound{config: lc, forwarder: f}
	o := g.listening(lc, server)
	if before := old.named(lc.Name); before != nil {
		if !slices.Contains(d.Sockets, lc.Name) {
			b.listener = before.listener
			return b, nil
		}
		o.Counts = before.listener.Counts
	}
	socket, replaces, err := places.take(lc)
	switch {
	case err != nil:
		return nil, err
	case socket != nil:
		b.listener = listener.New(o, f, socket)
	default:
		g.late = append(g.late, late{b, o, replaces})
	}
	return b, nil
}

// named is the listener of that name, nil if there is none.
func (g *generation) named(name string) *bound {
	for _, b := range g.listeners {
		if b.config.Name == name {
			return b
		}
	}
	return nil
}

// uses returns the bound of a listener, nil if this generation does not have it.
func (g *generation) uses(l *listener.Listener) *bound {
	for _, b := range g.listeners {
		if b.listener == l {
			return b
		}
	}
	return nil
}

// allClusters are those of the configuration, of forward proxies and of the catalog.
func (g *generation) allClusters() []*cluster.Cluster {
	return g.clustersOf(resources.Configuration, resources.ForwardProxy, resources.Catalog)
}

// configured are the clusters of the configuration, and those of forward proxies.
func (g *generation) configured() []*cluster.Cluster {
	return g.clustersOf(resources.Configuration, resources.ForwardProxy)
}

// clustersOf are the clusters of some origins, by name.
func (g *generation) clustersOf(origins ...resources.Origin) (all []*cluster.Cluster) {
	g.applying.Lock()
	defer g.applying.Unlock()
	for _, r := range g.sorted() {
		if slices.Contains(origins, r.of.Origin) {
			all = append(all, r.cluster)
		}
	}
	return all
}

// requests counts the requests under way in this generation's forwarders.
func (g *generation) requests() (n int64) {
	for _, b := range g.listeners {
		n += b.forwarder.Active.Load()
	}
	return n
}
