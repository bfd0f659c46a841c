package snapshot

import (
	"context"
	"fmt"
	"time"

	"github.com/hopscope/hopscope/proxy/catalog"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/forward"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/proxy/route"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// catalogListeners are those that serve the catalog.
func (g *generation) catalogListeners() (all []*bound) {
	for _, b := range g.listeners {
		if b.config.Catalog == "consul" {
			all = append(all, b)
		}
	}
	return all
}

// routeCatalog has each listener that serves the catalog use its routes, if they are
// known. The caller holds Proxy.applying.
func (g *generation) routeCatalog(changed bool) {
	table := g.set.Routes[resources.CatalogTable]
	if table == nil || g.catalog == nil {
		return
	}
	var matches []route.Match
	for i := range table.Tagged {
		matches = append(matches, table.Tagged[i].Match)
	}
	compiled := route.Compile(matches)
	g.commit(func() (labels []*hop.Labels) {
		for _, b := range g.catalogListeners() {
			routing := &forward.Routing{Table: compiled}
			for i := range table.Tagged {
				r := &table.Tagged[i]
				made := g.catalogRoute(b, r)
				labels = append(labels, made.Labels)
				routing.Routes = append(routing.Routes, made)
			}
			b.forwarder.Catalog.Store(routing)
		}
		return labels
	})
	g.routed = true
	if changed {
		g.options.Log.Info("routes of the catalog changed", "routes", len(table.Tagged), "services", len(g.catalog.plan.Clusters))
	}
}

// catalogRoute makes a route of the catalog.
func (g *generation) catalogRoute(b *bound, r *catalog.Route) forward.Route {
	labels := g.label(b.config, r.Name, r.Cluster, 0)
	c := g.running(resources.ID{Origin: resources.Catalog, Name: r.Cluster})
	if c == nil {
		return closed(labels)
	}
	policy := &g.set.Clusters[c.of.ID].Policy
	t := forward.Target{Labels: labels, Cluster: c.cluster, Retry: g.retries[g.config.Catalog.Like], Hash: hashOn(policy.Hash)}
	if h := policy.Hedge; h != nil && h.Attempts > 1 {
		t.Hedge = &forward.Hedge{After: h.After, Attempts: h.Attempts}
	}
	return forward.Route{Labels: labels, Action: &forward.Forward{
		Targets: []forward.Target{t}, Timeout: g.config.Catalog.Timeout,
		Strip: r.Strip, Prepend: r.Prepend, Host: r.HostRewrite,
	}}
}

// closed is a route that takes nobody, because of a tag.
func closed(labels *hop.Labels) forward.Route {
	why := fmt.Sprintf("route %s of listener %s is closed: a tag of its service asks for what is not done here; see the log", labels.Route, labels.Listener)
	return forward.Route{Labels: labels, Action: &forward.Answer{Why: fault.New(fault.Forbidden, why)}}
}

// commit makes routes of the catalog the ones in use, and drops the series of
// those that are gone once what ended by them was counted.
func (g *generation) commit(routes func() []*hop.Labels) {
	g.mu.Lock() // nobody drops series that are being made
	now := routes()
	g.catalogued = append(now, g.catalogued...)
	g.commits++
	mine := g.commits
	g.mu.Unlock()
	g.served.Go(func() {
		ctx, cancel := context.WithTimeout(g.context, 5*time.Second)
		defer cancel()
		g.quiet(ctx)
		_ = g.recorder.Flush(ctx)
		g.reloading.Lock() // what is being built has series, too
		defer g.reloading.Unlock()
		g.mu.Lock()
		latest := g.commits == mine
		if latest {
			g.catalogued = now
		}
		g.mu.Unlock()
		if latest {
			g.retain()
		}
	})
}
