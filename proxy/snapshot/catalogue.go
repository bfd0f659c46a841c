package snapshot

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/consul"
	"github.com/hopscope/hopscope/proxy/catalog"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/forward"
	"github.com/hopscope/hopscope/proxy/route"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// catalogue keeps the routes and clusters of a service catalogue up to date: each
// service is served with no cluster written down.
type catalogue struct {
	watch   *consul.Catalog
	options catalog.Options
	like    config.Cluster // of which clusters have all but the endpoints
	// make makes a cluster that a source delivers the endpoints of, and says how
	// to close it.
	make    func(name string, c *config.Cluster, source discovery.Source) (cl *cluster.Cluster, end func(), err error)
	targets []*catalogued
	// commit makes routes, which have the labels that it returns, the ones in use.
	commit func(routes func() []*hop.Labels)
	log    *slog.Logger

	cancel context.CancelFunc
	done   sync.WaitGroup
	ready  chan struct{} // closed when the catalogue has answered, well or badly

	mu       sync.Mutex
	plan     *catalog.Plan
	served   map[string]*served // by name
	problems map[catalog.Problem]bool
	stale    error
	answered bool
	ended    bool
}

// catalogued is a listener that serves the catalogue.
type catalogued struct {
	routing *atomic.Pointer[forward.Routing]
	// route makes a route of the listener to a cluster, which is nil for one that
	// is closed.
	route func(r *catalog.Route, c *cluster.Cluster) forward.Route
}

// served is a cluster of the catalogue.
type served struct {
	cluster *cluster.Cluster
	end     func()
	feed    *feed
}

// run follows the catalogue until close.
func (c *catalogue) run() {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.served, c.problems, c.ready = map[string]*served{}, map[catalog.Problem]bool{}, make(chan struct{})
	c.done.Go(func() { c.watch.Run(ctx, c.update) })
}

// wait waits until the catalogue has answered; false if ctx is done first.
func (c *catalogue) wait(ctx context.Context) bool {
	select {
	case <-c.ready:
		return true
	case <-ctx.Done():
		return false
	}
}

// close ends it, and closes its clusters.
func (c *catalogue) close() {
	c.cancel()
	c.done.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended = true
	for _, s := range c.served {
		s.end()
	}
}

// clusters are those of the catalogue, by name.
func (c *catalogue) clusters() []*cluster.Cluster {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*cluster.Cluster
	for _, name := range slices.Sorted(maps.Keys(c.served)) {
		all = append(all, c.served[name].cluster)
	}
	return all
}

// update takes what the catalogue says.
func (c *catalogue) update(u consul.CatalogUpdate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.note(u.Err)
	if !c.answered {
		c.answered = true
		defer close(c.ready)
	}
	if u.Services == nil {
		return // it has never been asked with success
	}
	plan := catalog.Compile(services(u.Services), c.options)
	c.tell(plan)
	changes := plan.Since(c.plan)
	for _, made := range changes.Made {
		c.serve(made)
	}
	for _, updated := range changes.Updated {
		c.served[updated.Name].feed.push(discovery.Update{Endpoints: updated.Endpoints})
	}
	if changes.Routes || len(changes.Made) > 0 {
		c.route(plan)
	}
	for _, name := range changes.Gone {
		c.drop(name)
	}
	c.plan = plan
}

// note tells once that the catalogue can't be asked, and once that it can again.
func (c *catalogue) note(err error) {
	switch {
	case err != nil && c.stale == nil:
		c.log.Warn("the catalogue can't be asked; what was known of it stays", "error", err)
	case err == nil && c.stale != nil:
		c.log.Info("the catalogue is there again")
	}
	c.stale = err
}

// services are those that are served: neither Consul itself nor sidecars, which
// are in the catalogue too.
func services(all map[string][]consul.Instance) []catalog.Service {
	var kept []catalog.Service
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if name == "consul" || strings.HasSuffix(name, "-sidecar-proxy") {
			continue
		}
		s := catalog.Service{Name: name}
		for _, i := range all[name] {
			s.Instances = append(s.Instances, catalog.Instance{Endpoint: i.Endpoint, Tags: i.Tags})
		}
		kept = append(kept, s)
	}
	return kept
}

// tell logs the problems that are new.
func (c *catalogue) tell(plan *catalog.Plan) {
	now := map[catalog.Problem]bool{}
	for _, p := range plan.Problems {
		now[p] = true
		if !c.problems[p] {
			c.log.Warn("a tag in the catalogue", "service", p.Service, "tag", p.Tag, "problem", p.Why)
		}
	}
	c.problems = now
}

// serve makes a cluster, in the place of one that was spoken to in another way.
func (c *catalogue) serve(made catalog.Cluster) {
	cc := c.like
	cc.Endpoints, cc.Static, cc.Consul, cc.DNS, cc.File = nil, nil, nil, nil, nil
	if made.Protocol != "auto" {
		cc.Protocol = made.Protocol
	}
	if made.TLS {
		if cc.TLS == nil {
			cc.TLS = config.NewClusterTLS()
		}
		tls := *cc.TLS
		tls.InsecureSkipVerify = tls.InsecureSkipVerify || made.Insecure
		if made.ServerName != "" {
			tls.SNI = made.ServerName
		}
		cc.TLS = &tls
	} else {
		cc.TLS = nil
	}
	f := newFeed(discovery.Update{Endpoints: made.Endpoints})
	cl, end, err := c.make(made.Name, &cc, f)
	if err != nil {
		c.log.Error("a service of the catalogue can't be served", "service", made.Name, "error", err)
		return
	}
	if old := c.served[made.Name]; old != nil {
		defer old.end()
	}
	c.served[made.Name] = &served{cl, end, f}
}

// drop closes the cluster of a service that is gone.
func (c *catalogue) drop(name string) {
	if s := c.served[name]; s != nil {
		delete(c.served, name)
		s.end()
	}
}

// route has each listener use the routes of a plan.
func (c *catalogue) route(plan *catalog.Plan) {
	var matches []route.Match
	for i := range plan.Routes {
		matches = append(matches, plan.Routes[i].Match)
	}
	table := route.Compile(matches)
	c.commit(func() (labels []*hop.Labels) {
		for _, t := range c.targets {
			routing := &forward.Routing{Table: table}
			for i := range plan.Routes {
				r := &plan.Routes[i]
				var cl *cluster.Cluster
				if s := c.served[r.Cluster]; s != nil {
					cl = s.cluster
				}
				made := t.route(r, cl)
				labels = append(labels, made.Labels)
				routing.Routes = append(routing.Routes, made)
			}
			t.routing.Store(routing)
		}
		return labels
	})
	c.log.Info("routes of the catalogue changed", "routes", len(plan.Routes), "services", len(plan.Clusters))
}

// feed is a source that is fed by somebody else: a [discovery.Source].
type feed struct{ updates chan discovery.Update }

func newFeed(first discovery.Update) *feed {
	f := &feed{make(chan discovery.Update, 1)}
	f.updates <- first
	return f
}

// push puts an update in the place of one that was not taken yet. There is one
// pusher.
func (f *feed) push(u discovery.Update) {
	select {
	case <-f.updates:
	default:
	}
	f.updates <- u
}

// Run is part of discovery.Source.
func (f *feed) Run(ctx context.Context, deliver func(discovery.Update)) {
	for {
		select {
		case u := <-f.updates:
			deliver(u)
		case <-ctx.Done():
			return
		}
	}
}
