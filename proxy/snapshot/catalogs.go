package snapshot

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/discovery/consul"
	"github.com/hopscope/hopscope/proxy/catalog"
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

// serveCatalog has the listeners serve the catalog, if any does so, and lets go of what
// the old generation had of it, if none does any more. It goes on with what the old
// generation's follows, where that asks the same.
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
		follower: f, isNew: isNew, like: resources.TemplateOf(g.config),
		options:  catalog.Options{Datacenter: f.asked.Datacenter, Suffixes: append([]string{"service.consul"}, g.config.Catalog.Suffixes...)},
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

// follower is what follows the catalog: the old generation's, or a new one, which
// begins with what is known of the answer to the same question.
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

// learn takes what is known of the catalog. The caller holds Proxy.applying.
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
	for _, m := range g.apply(g.base.Join(resources.FromCatalog(c.plan, c.like, s.err, s.known))) {
		g.options.Log.Error("a service of the catalog can't be served", "service", m.of.Name, "error", m.error)
	}
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

// knownProblems are the problems that were told of.
func (g *generation) knownProblems() map[catalog.Problem]bool {
	g.applying.Lock()
	defer g.applying.Unlock()
	return maps.Clone(g.catalog.problems)
}

// tellProblems logs the problems of a plan that are new.
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
