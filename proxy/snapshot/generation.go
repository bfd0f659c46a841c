package snapshot

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/forward"
	"github.com/hopscope/hopscope/proxy/listener"
	"github.com/hopscope/hopscope/proxy/tlsconf"
	"github.com/hopscope/hopscope/telemetry/headers"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/tracecontext"
)

// generation is all that was built of one configuration. It does not change once
// it is in use; what a reload leaves as it was is part of the next one, too.
type generation struct {
	*Proxy
	config    *config.Config
	clusters  map[string]*cluster.Cluster
	sources   map[string]*cluster.Cluster // those that ask a source, by the question
	retries   map[string]*forward.Retry   // those of clusters: a budget is shared by all routes
	catalog   *catalogView                // nil where no listener serves one
	egress    map[string]*cluster.Cluster // those of forward proxies, by listener
	listeners []*bound
	late      []late // of the listeners, those that are still to be bound
	// credentials are the TLS settings in use.
	credentials []credentials
	// labelled are the labels of all routes.
	labelled []*hop.Labels
	// catalogued are those of the catalog's routes, after so many commits;
	// guarded by Proxy.mu.
	catalogued []*hop.Labels
	commits    int
}

// bound is a listener with its forwarder.
type bound struct {
	config    *config.Listener
	forwarder *forward.Forwarder
	listener  *listener.Listener
}

// build makes the generation of a configuration, with what it has in common with
// the old one. It changes nothing of that, and on an error leaves nothing behind.
// The error has a line for each mistake.
func (p *Proxy) build(c *config.Config, old *generation) (*generation, error) {
	g := &generation{Proxy: p, config: c, clusters: map[string]*cluster.Cluster{}, sources: map[string]*cluster.Cluster{}, retries: map[string]*forward.Retry{}, egress: map[string]*cluster.Cluster{}}
	err := errors.Join(g.makeClusters(old), g.makeListeners(old))
	if err == nil {
		err = g.makeCatalog(old)
	}
	if err == nil {
		err = g.warm()
	}
	if err == nil {
		err = g.bindLate()
	}
	if err != nil {
		g.release(old)
		g.unbind(old)
		return nil, err
	}
	g.late = nil
	return g, nil
}

// warmLimit is how long a configuration waits until its clusters know their
// endpoints and how those are.
const warmLimit = 5 * time.Second

// warm waits for the clusters, so that the first requests find endpoints. What is
// not known by then is told when it is. It fails where the proxy is to end, which
// waits for nothing.
func (g *generation) warm() error {
	ctx, cancel := context.WithTimeout(g.building, warmLimit)
	defer cancel()
	late := func(what string, args ...any) {
		if g.building.Err() == nil {
			g.options.Log.Warn(what, append(args, "waited", warmLimit)...)
		}
	}
	if c := g.catalog; c != nil && !c.follower.wait(ctx) {
		late("the catalog has not answered in time")
	}
	for _, c := range g.allClusters() {
		if !c.Ready(ctx) {
			late("a cluster does not know its endpoints in time", "cluster", c.Name)
		}
	}
	if g.building.Err() != nil {
		return errDraining
	}
	return nil
}

// makeClusters makes each cluster of the configuration, and of its forward proxies.
func (g *generation) makeClusters(old *generation) error {
	var mistakes []error
	for _, name := range slices.Sorted(maps.Keys(g.config.Clusters)) {
		cc := g.config.Clusters[name]
		g.retries[name] = g.retriesOf(name, old)
		if cc.Template() {
			continue
		}
		if err := g.makeCluster(name, &cc, old); err != nil {
			mistakes = append(mistakes, err)
			continue
		}
		if q := questionOf(g.config, &cc); q != "" {
			g.sources[q] = g.clusters[name]
		}
	}
	for i := range g.config.Listeners {
		lc := &g.config.Listeners[i]
		if lc.ForwardProxy == nil {
			continue
		}
		if b := old.named(lc.Name); b != nil && b.config.ForwardProxy != nil && b.config.ForwardProxy.ConnectTimeout == lc.ForwardProxy.ConnectTimeout {
			g.egress[lc.Name] = old.egress[lc.Name]
			continue
		}
		c, err := g.newEgress(lc)
		if err != nil {
			mistakes = append(mistakes, err)
			continue
		}
		g.egress[lc.Name] = c
	}
	return errors.Join(mistakes...)
}

// makeCluster takes a cluster of the old generation whose settings are the same, or
// makes one, in the place of the one of its name.
func (g *generation) makeCluster(name string, cc *config.Cluster, old *generation) error {
	n := newCluster{name: name, config: cc, before: old.clusters[name]}
	then, client := old.config.Clusters[name], credentials{}
	if n.before != nil {
		n.beforeConfig = &then
		client, _ = old.credential("cluster", name)
		if settingsOf(g.config, cc).same(settingsOf(old.config, &then)) {
			g.clusters[name] = n.before
			g.credentials = append(g.credentials, client.some()...)
			return nil
		}
	}
	var err error
	if n.before != nil && sameTLS(cc, &then) {
		g.credentials = append(g.credentials, client.some()...)
		n.client, _ = client.source.(*tlsconf.Client)
	} else if n.client, err = g.clientTLS(name, cc); err != nil {
		return err
	} else if n.client != nil {
		g.credentials = append(g.credentials, credentials{"cluster", name, n.client})
	}
	n.known = g.known(questionOf(g.config, cc), old)
	g.clusters[name], err = g.newCluster(&n)
	if err != nil {
		delete(g.clusters, name)
	}
	return err
}

// known is what is known of the answer to a question: by the old generation, or by
// a process that was here before. It is nil where nothing is.
func (g *generation) known(question string, old *generation) *discovery.Known {
	if c := old.sources[question]; c != nil {
		if k, ok := c.Known(); ok {
			return &k
		}
	}
	return g.memory.endpoints(question)
}

// retriesOf is a cluster's retry policy, whose budget goes on where it is the same.
func (g *generation) retriesOf(name string, old *generation) *forward.Retry {
	now := g.config.Clusters[name].Retry
	if then, ok := old.config.Clusters[name]; ok && reflect.DeepEqual(now, then.Retry) {
		return old.retries[name]
	}
	return retryPolicy(now)
}

// makeListeners makes each listener with its forwarder, and binds its address
// unless the socket is here.
func (g *generation) makeListeners(old *generation) error {
	t := &g.config.Telemetry.Traces
	propagation, err := tracecontext.NewPropagation(t.Extract, t.Inject)
	if err != nil {
		return err
	}
	status := headers.NewProxyStatus(g.config.Service)
	sampler := tracecontext.NewSampler(t.Sample)
	places := g.places(old)
	defer places.close()
	var mistakes []error
	for i := range g.config.Listeners {
		lc := &g.config.Listeners[i]
		server, err := g.serverTLS(lc, old)
		if err != nil {
			mistakes = append(mistakes, err)
			continue
		}
		o := g.forwarding(lc, server, propagation, status, sampler)
		if b := old.named(lc.Name); b != nil && o.Egress != nil && reflect.DeepEqual(b.config.ForwardProxy, lc.ForwardProxy) {
			o.Egress.Rules = b.forwarder.Egress.Rules // so that its connections are used on
		}
		f := forward.New(o)
		b, err := g.makeListener(lc, server, f, old, places)
		if err != nil {
			mistakes = append(mistakes, err)
			continue
		}
		g.listeners = append(g.listeners, b)
	}
	return errors.Join(mistakes...)
}

// makeListener makes a listener, or takes the old one if the socket and how its
// connections are read are the same.
// One whose place is to be bound last has none yet.
func (g *generation) makeListener(lc *config.Listener, server *tlsconf.Server, f *forward.Forwarder, old *generation, places *places) (*bound, error) {
	b := &bound{config: lc, forwarder: f}
	o := g.listening(lc, server)
	if before := old.named(lc.Name); before != nil {
		if reflect.DeepEqual(before.config.ListenerSocket, lc.ListenerSocket) {
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

// uses returns what is bound to a listener, nil if this generation does not have
// it.
func (g *generation) uses(l *listener.Listener) *bound {
	for _, b := range g.listeners {
		if b.listener == l {
			return b
		}
	}
	return nil
}

// credential is what a listener's or a cluster's TLS settings are.
func (g *generation) credential(kind, name string) (credentials, bool) {
	i := slices.IndexFunc(g.credentials, func(c credentials) bool { return c.kind == kind && c.name == name })
	if i < 0 {
		return credentials{}, false
	}
	return g.credentials[i], true
}

// allClusters are those of the configuration and of the catalog.
func (g *generation) allClusters() []*cluster.Cluster {
	all := g.configured()
	if g.catalog != nil {
		all = append(all, g.catalog.clusters()...)
	}
	return all
}

// configured are the clusters of the configuration, by name, and those of forward
// proxies.
func (g *generation) configured() []*cluster.Cluster {
	var all []*cluster.Cluster
	for _, some := range []map[string]*cluster.Cluster{g.clusters, g.egress} {
		for _, name := range slices.Sorted(maps.Keys(some)) {
			all = append(all, some[name])
		}
	}
	return all
}

// release closes what this generation has and the other has not: its clusters,
// which end with the requests that are under way to them, and its credentials.
func (g *generation) release(other *generation) {
	g.releaseClusters(other)
	g.releaseCredentials(other)
}

func (g *generation) releaseClusters(other *generation) {
	if g.catalog != nil {
		g.catalog.close()
	}
	kept := other.allClusters()
	for _, c := range g.configured() {
		if !slices.Contains(kept, c) {
			c.Close()
		}
	}
}

func (g *generation) releaseCredentials(others ...*generation) {
	for _, c := range g.credentials {
		if !slices.ContainsFunc(others, func(o *generation) bool { return slices.Contains(o.credentials, c) }) {
			c.source.Close()
		}
	}
}

// requests is how many are on their way through this generation's forwarders.
func (g *generation) requests() (n int64) {
	for _, b := range g.listeners {
		n += b.forwarder.Active.Load()
	}
	return n
}
