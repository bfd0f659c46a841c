package snapshot

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/consul"
	"github.com/hopscope/hopscope/proxy/catalog"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/forward"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/route"
	"github.com/hopscope/hopscope/proxy/tlsconf"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// catalogView keeps the routes and clusters of a service catalog up to date, for the
// listeners of one generation: each service is served with no cluster written down.
type catalogView struct {
	follower *follower
	options  catalog.Options
	like     config.Cluster // of which clusters have all but the endpoints
	zone     string         // of this proxy, where like goes by it
	// before is the catalog of the generation before, whose clusters are taken over
	// where they are the same; nil for none, or once that one is closed.
	before *catalogView
	// make makes a cluster.
	make    func(*newCluster) (*cluster.Cluster, error)
	secure  func(name string, c *config.Cluster) (*tlsconf.Client, error)
	targets []*catalogTarget
	// commit makes routes, which have the labels that it returns, the ones in use.
	commit func(routes func() []*hop.Labels)
	log    *slog.Logger

	// Guarded by follower.mu:
	plan     *catalog.Plan
	served   map[string]*served // by name
	problems map[catalog.Problem]bool
	stale    bool // the clusters have been told
	ended    bool
}

// catalogTarget is a listener that serves the catalog.
type catalogTarget struct {
	routing *atomic.Pointer[forward.Routing]
	// route makes a route of the listener to a cluster, which is nil for one that
	// is closed.
	route func(r *catalog.Route, c *cluster.Cluster) forward.Route
}

// close ends it, and closes the clusters that no other generation has.
func (c *catalogView) close() {
	c.follower.leave(c)
	c.follower.mu.Lock()
	defer c.follower.mu.Unlock()
	if c.ended {
		return
	}
	c.ended = true
	for _, s := range c.served {
		s.release()
	}
}

// settle forgets the catalog before, which is about to be closed.
func (c *catalogView) settle() {
	c.follower.mu.Lock()
	defer c.follower.mu.Unlock()
	c.before = nil
}

// clusters are those of the catalog, by name.
func (c *catalogView) clusters() []*cluster.Cluster {
	c.follower.mu.Lock()
	defer c.follower.mu.Unlock()
	var all []*cluster.Cluster
	for _, name := range slices.Sorted(maps.Keys(c.served)) {
		all = append(all, c.served[name].cluster)
	}
	return all
}

// update takes what is known of the catalog.
func (c *catalogView) update(s *catalogState) {
	if s.services == nil {
		for _, t := range c.targets {
			t.routing.Store(&forward.Routing{Unknown: s.unknown(), Names: c.names})
		}
		return
	}
	plan := catalog.Compile(services(s.services), c.options)
	c.tell(plan)
	changes := plan.Since(c.plan)
	for _, made := range changes.Made {
		c.serve(made, s.err)
	}
	updated := changes.Updated
	if c.stale != (s.err != nil) {
		c.stale, updated = s.err != nil, plan.Clusters
	}
	for _, u := range updated {
		if cl := c.served[u.Name]; cl != nil {
			cl.feed.Push(updateOf(u, s.err))
		}
	}
	if changes.Routes || len(changes.Made) > 0 || c.plan == nil {
		c.route(plan)
	}
	for _, name := range changes.Gone {
		c.drop(name)
	}
	c.plan = plan
}

func updateOf(c catalog.Cluster, stale error) discovery.Update {
	return discovery.Update{Endpoints: append([]discovery.Endpoint{}, c.Endpoints...), Err: stale}
}

// names reports whether a host, a name in lower case (message.Hostname), can be nothing but a
// name of the catalog, also while it is not known which there are.
func (c *catalogView) names(host string) bool {
	if !strings.ContainsAny(host, ".:") {
		return true
	}
	return slices.ContainsFunc(c.options.Suffixes, func(suffix string) bool {
		return strings.HasSuffix(host, "."+message.LowerHost(strings.TrimPrefix(suffix, ".")))
	})
}

// services are those that are served: neither Consul itself nor sidecars, which
// are in the catalog too.
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

// known are the problems that were told of.
func (c *catalogView) known() map[catalog.Problem]bool {
	c.follower.mu.Lock()
	defer c.follower.mu.Unlock()
	return maps.Clone(c.problems)
}

// tell logs the problems that are new.
func (c *catalogView) tell(plan *catalog.Plan) {
	now := map[catalog.Problem]bool{}
	for _, p := range plan.Problems {
		now[p] = true
		if !c.problems[p] {
			c.log.Warn("a tag in the catalog", "service", p.Service, "tag", p.Tag, "problem", p.Why)
		}
	}
	c.problems = now
}

// route has each listener use the routes of a plan.
func (c *catalogView) route(plan *catalog.Plan) {
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
	if b := c.before; b == nil || c.plan != nil || plan.Since(b.plan).Routes {
		c.log.Info("routes of the catalog changed", "routes", len(plan.Routes), "services", len(plan.Clusters))
	}
}
