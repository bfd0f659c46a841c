package snapshot

import (
	"context"
	"fmt"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/consul"
	"github.com/hopscope/hopscope/proxy/catalog"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/forward"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// makeCatalogue makes the catalogue that the listeners serve, if any does.
func (g *generation) makeCatalogue() error {
	var targets []*catalogued
	for _, b := range g.listeners {
		if b.config.Catalog == "consul" {
			targets = append(targets, g.target(b))
		}
	}
	if len(targets) == 0 {
		return nil
	}
	asked := g.config.ConsulFor(nil)
	client, err := g.agents.client(&asked)
	if err != nil {
		return fmt.Errorf("consul: %w", err)
	}
	watch, err := client.Catalog(consul.CatalogOptions{
		Datacenter: asked.Datacenter, Namespace: asked.Namespace, Partition: asked.Partition, Stale: asked.Stale, Wait: asked.Wait,
	})
	if err != nil {
		return err
	}
	c := &catalogue{
		watch: watch, targets: targets, log: g.options.Log, like: config.NewCluster(),
		options: catalog.Options{Datacenter: asked.Datacenter, Suffixes: append([]string{"service.consul"}, g.config.Catalog.Suffixes...)},
		make:    g.makeServed, commit: g.commit,
	}
	if like := g.config.Catalog.Like; like != "" {
		c.like = g.config.Clusters[like]
	}
	g.catalogue = c
	c.run()
	return nil
}

// target is a listener that serves the catalogue.
func (g *generation) target(b *bound) *catalogued {
	like := g.config.Clusters[g.config.Catalog.Like]
	return &catalogued{
		routing: b.forwarder.Catalog,
		route: func(r *catalog.Route, c *cluster.Cluster) forward.Route {
			made := forward.Route{
				Labels: g.label(b.config, r.Name, r.Cluster, 0), Cluster: c, Timeout: g.config.Catalog.Timeout,
				Strip: r.Strip, Prepend: r.Prepend, Host: r.HostRewrite,
				Retry: g.retries[g.config.Catalog.Like], Hash: hashOn(like.Balance.Hash),
			}
			if h := like.Hedge; h != nil && h.Attempts > 1 {
				made.Hedge = &forward.Hedge{After: h.After, Attempts: h.Attempts}
			}
			return made
		},
	}
}

// makeServed makes a cluster of the catalogue.
func (g *generation) makeServed(name string, cc *config.Cluster, source discovery.Source) (*cluster.Cluster, func(), error) {
	client, err := g.clientTLS(name, cc)
	if err != nil {
		return nil, nil, err
	}
	c, err := g.newCluster(name, cc, client, source)
	if err != nil {
		return nil, nil, err
	}
	return c, func() {
		c.Close()
		if client != nil {
			client.Close()
		}
	}, nil
}

// commit makes routes of the catalogue the ones in use, and drops the series of
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
