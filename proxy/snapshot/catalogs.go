package snapshot

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/discovery/consul"
	"github.com/hopscope/hopscope/proxy/catalog"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/forward"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/resources"
)

// catalogView is a service catalog as the listeners of one generation serve it.
type catalogView struct {
	follower *follower
	isNew    bool // the follower is: no generation before had it
	options  catalog.Options
	like     *resources.Template

	// Guarded by Proxy.applying:
	plan     *catalog.Plan // nil while nothing is known
	problems map[catalog.Problem]bool
}

// serveCatalog serves the catalog if a listener does so. If none does, it drops what the
// old generation had of it.
func (g *generation) serveCatalog(old *generation) error {
	if !g.base.ServesCatalog() {
		g.applying.Lock()
		defer g.applying.Unlock()
		g.apply(g.base)
		return nil
	}
	f, isNew, err := g.follower(old)
	if err != nil {
		return err
	}
	c := &catalogView{
		follower: f, isNew: isNew, like: resources.TemplateOf(g.config, g.base),
		options: catalog.Options{
			Datacenter: f.asked.Datacenter, Suffixes: append([]string{"service.consul"}, g.config.Catalog.Suffixes...),
			Auth: slices.Sorted(maps.Keys(g.config.Catalog.Auth)), Register: registerNames(g.config),
		},
		problems: map[catalog.Problem]bool{},
	}
	if old.catalog != nil {
		c.problems = old.knownProblems()
	}
	g.catalog = c
	f.join(g)
	if isNew {
		f.begin()
	}
	return nil
}

// registerNames are the names that tags may have the proxy registered under.
func registerNames(c *config.Config) []string {
	if c.Register.Consul == nil {
		return nil
	}
	return c.Register.Consul.Names
}

// follower returns the old generation's follower if it asks the same agent the same, or a
// new one. A new one begins with the answer to the same question if one is known.
func (g *generation) follower(old *generation) (f *follower, isNew bool, err error) {
	asked := g.config.ConsulFor(nil)
	question := resources.CatalogQuestion(&asked)
	known := g.memory.catalog(question)
	if old.catalog != nil {
		f = old.catalog.follower
		if reflect.DeepEqual(f.asked, asked) {
			return f, false, nil
		}
		if before := f.remembered(); before != nil && resources.CatalogQuestion(&f.asked) == question {
			known = before
		}
	}
	client, err := g.agents.client(&asked)
	if err != nil {
		return nil, false, fmt.Errorf("consul: %w", err)
	}
	f, err = newFollower(client, asked, known, &g.applying, g.options.Log)
	return f, true, err
}

// learn applies what is known of the catalog. The caller holds Proxy.applying.
func (g *generation) learn(s *catalogState) {
	c := g.catalog
	if s.services == nil {
		g.apply(g.base)
		for _, b := range g.catalogListeners() {
			b.forwarder.Catalog.Store(&forward.Routing{Unknown: s.unknown(), Names: c.names})
		}
		return
	}
	c.plan = catalog.Compile(services(s.services), c.options)
	g.tellProblems(c.plan)
	g.announce()
	for _, m := range g.apply(g.base.Join(resources.FromCatalog(c.plan, c.like, s.err, s.known))) {
		g.options.Log.Error("a service of the catalog can't be served", "service", m.of.Name, "error", m.error)
	}
}

// names reports whether a host, in lower case and without port, can only be a service of
// the catalog. It works before the catalog is known.
func (c *catalogView) names(host string) bool {
	if !strings.ContainsAny(host, ".:") {
		return true
	}
	return slices.ContainsFunc(c.options.Suffixes, func(suffix string) bool {
		return strings.HasSuffix(host, "."+message.LowerHost(strings.TrimPrefix(suffix, ".")))
	})
}

// services returns the services to serve: all but Consul itself, sidecars, and proxies that
// are registered because of a tag.
func services(all map[string][]consul.Instance) []catalog.Service {
	var kept []catalog.Service
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if name == "consul" || strings.HasSuffix(name, "-sidecar-proxy") {
			continue
		}
		s := catalog.Service{Name: name}
		instances := slices.DeleteFunc(slices.Clone(all[name]), func(i consul.Instance) bool { return i.Metadata[metaByTag] != "" })
		if len(instances) == 0 && len(all[name]) > 0 {
			continue
		}
		for _, i := range instances {
			s.Instances = append(s.Instances, catalog.Instance{Endpoint: i.Endpoint, Tags: i.Tags})
		}
		kept = append(kept, s)
	}
	return kept
}

// knownProblems returns the problems that have been logged.
func (g *generation) knownProblems() map[catalog.Problem]bool {
	g.applying.Lock()
	defer g.applying.Unlock()
	return maps.Clone(g.catalog.problems)
}

// tellProblems logs a plan's new problems.
func (g *generation) tellProblems(plan *catalog.Plan) {
	now := map[catalog.Problem]bool{}
	for _, p := range plan.Problems {
		now[p] = true
		if !g.catalog.problems[p] {
			g.options.Log.Warn("a tag in the catalog", "service", p.Service, "tag", p.Tag, "problem", p.Why)
		}
	}
	g.catalog.problems = now
}
