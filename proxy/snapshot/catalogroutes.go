package snapshot

import (
	"context"
	"time"

	"github.com/hopscope/hopscope/proxy/forward"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// catalogListeners returns the listeners that serve the catalog.
func (g *generation) catalogListeners() (all []*bound) {
	for _, b := range g.listeners {
		if b.config.Catalog == "consul" {
			all = append(all, b)
		}
	}
	return all
}

// routeCatalog gives the catalog's routes, if they are known, to the listeners that serve
// it. The caller holds Proxy.applying.
func (g *generation) routeCatalog(changed bool) {
	table := g.set.Routes[resources.CatalogTable]
	if table == nil || g.catalog == nil {
		return
	}
	compiled, hosts := compile(table.Routes), hostsOf(table.Routes)
	g.limited.beginCatalog()
	defer g.limited.endCatalog()
	g.commit(func() (labels []*hop.Labels) {
		for _, b := range g.catalogListeners() {
			routing := &forward.Routing{Table: compiled, Hosts: hosts}
			for i := range table.Routes {
				r := &table.Routes[i]
				l := g.label(b.config, r)
				labels = append(labels, l)
				routing.Routes = append(routing.Routes, g.route(r, b.config, l))
			}
			b.forwarder.Catalog.Store(routing)
		}
		return labels
	})
	g.routed = true
	if changed {
		g.options.Log.Info("routes of the catalog changed", "routes", len(table.Routes), "services", len(g.catalog.plan.Clusters))
	}
}

// commit makes routes the ones in use. It drops the metrics of routes that are gone, once
// the last requests of those have been counted.
func (g *generation) commit(routes func() []*hop.Labels) {
	g.mu.Lock() // nobody drops series that are being made
	now := routes()
	g.fromCatalog = append(now, g.fromCatalog...)
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
			g.fromCatalog = now
		}
		g.mu.Unlock()
		if latest {
			g.retain()
		}
	})
}
