package snapshot

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/hopscope/hopscope/proxy/catalog"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/forward"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// makeCatalogue makes the catalogue that the listeners serve, if any does. It goes on
// with what the old generation's follows, where that asks the same.
func (g *generation) makeCatalogue(old *generation) error {
	var targets []*catalogued
	for _, b := range g.listeners {
		if b.config.Catalog == "consul" {
			targets = append(targets, g.target(b))
		}
	}
	if len(targets) == 0 {
		return nil
	}
	f, isNew, err := g.follower(old)
	if err != nil {
		return err
	}
	asked := &f.asked
	c := &catalogue{
		follower: f, before: old.catalogue, targets: targets, log: g.options.Log,
		options: catalog.Options{Datacenter: asked.Datacenter, Suffixes: append([]string{"service.consul"}, g.config.Catalog.Suffixes...)},
		make:    g.newCluster, secure: g.clientTLS, commit: g.commit,
		served: map[string]*served{}, problems: map[catalog.Problem]bool{},
	}
	like := g.like()
	settings := settingsOf(g.config, &like)
	c.like, c.zone = settings.Cluster, settings.zone
	c.like.Endpoints, c.like.Static, c.like.Consul, c.like.DNS, c.like.File = nil, nil, nil, nil, nil
	if c.before != nil {
		c.problems = c.before.known()
	}
	g.catalogue = c
	f.join(c)
	if isNew {
		f.begin()
	}
	return nil
}

// like is the cluster whose settings those of the catalogue have.
func (g *generation) like() config.Cluster {
	if like, ok := g.config.Clusters[g.config.Catalog.Like]; ok {
		return like
	}
	return config.NewCluster()
}

// follower is what follows the catalogue: the old generation's, or a new one, which
// begins with what is known of the answer to the same question.
func (g *generation) follower(old *generation) (f *follower, isNew bool, err error) {
	asked := g.config.ConsulFor(nil)
	question := catalogQuestion(&asked)
	known := g.memory.catalog(question)
	if old.catalogue != nil {
		f = old.catalogue.follower
		if reflect.DeepEqual(f.asked, asked) {
			return f, false, nil
		}
		if before := f.remembered(); before != nil && catalogQuestion(&f.asked) == question {
			known = before
		}
	}
	client, err := g.agents.client(&asked)
	if err != nil {
		return nil, false, fmt.Errorf("consul: %w", err)
	}
	f, err = newFollower(client, asked, known, &g.cataloguing, g.options.Log)
	return f, true, err
}

// target is a listener that serves the catalogue.
func (g *generation) target(b *bound) *catalogued {
	like := g.like()
	return &catalogued{
		routing: b.forwarder.Catalog,
		route: func(r *catalog.Route, c *cluster.Cluster) forward.Route {
			labels := g.label(b.config, r.Name, r.Cluster, 0)
			if c == nil {
				return closed(labels)
			}
			t := forward.Target{Labels: labels, Cluster: c, Retry: g.retries[g.config.Catalog.Like], Hash: hashOn(like.Balance.Hash)}
			if h := like.Hedge; h != nil && h.Attempts > 1 {
				t.Hedge = &forward.Hedge{After: h.After, Attempts: h.Attempts}
			}
			return forward.Route{Labels: labels, Action: &forward.Forward{
				Targets: []forward.Target{t}, Timeout: g.config.Catalog.Timeout,
				Strip: r.Strip, Prepend: r.Prepend, Host: r.HostRewrite,
			}}
		},
	}
}

// closed is a route that takes nobody, because of a tag.
func closed(labels *hop.Labels) forward.Route {
	why := fmt.Sprintf("route %s of listener %s is closed: a tag of its service asks for what is not done here; see the log", labels.Route, labels.Listener)
	return forward.Route{Labels: labels, Action: &forward.Answer{Why: fault.New(fault.Forbidden, why)}}
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
