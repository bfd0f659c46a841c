package snapshot

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/listener"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/telemetry/events"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// idleGrace is how long idle HTTP/1 connections stay open at a listener that retires,
// in case a request is on its way. It is well within the drain timeout.
func idleGrace(timeout time.Duration) time.Duration { return min(5*time.Second, timeout/2) }

// errDraining is why there is no reload any more.
var errDraining = errors.New("the proxy is draining: it takes no new configuration")

// Reload changes to another valid configuration, and returns what that changed.
//
// What is the same in both stays: clusters with their connections, sockets, and the
// connections of clients if the listener's socket settings are the same. Their next
// requests go by the new routes. Requests under way end as they began. If Reload
// returns an error, nothing has changed; it has a line for each mistake. Reloads wait
// for each other.
func (p *Proxy) Reload(c *config.Config) (Changes, error) {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	if p.draining.Load() {
		return Changes{}, errDraining
	}
	old := p.current.Load()
	base, err := resourcesOf(c)
	if err != nil {
		p.metrics.Reloaded(err)
		return Changes{}, err
	}
	d := resources.Diff(old.base, base)
	if d.None() {
		p.metrics.Reloaded(nil)
		return Changes{}, nil
	}
	err = unchangeable(d)
	var g *generation
	if err == nil {
		if g, err = p.build(c, base, old); err != nil {
			p.retain() // not the series that it came to
		}
	}
	p.metrics.Reloaded(err)
	if err != nil {
		p.noteRejected(err)
		return Changes{}, err
	}
	p.adopt(g)
	p.limitMemory(c)
	p.plan(c)
	p.serve(g, old)
	g.settle()
	old.releaseClusters()
	if level := c.Log.Level; level != old.config.Log.Level && p.options.Level != nil {
		_ = p.options.Level.UnmarshalText([]byte(level)) // the configuration is valid
	}
	p.mesh.list(c)
	if err := p.registerAnew(c, false); err != nil {
		p.options.Log.Error("the service can't be registered as the new configuration says; the registration before stays", "error", err)
	}
	p.announceNames()
	p.served.Go(func() { p.outlive(old, g) })
	p.noteOwn(events.Reload, "a new configuration is in use: "+changes(d).String())
	return changes(d), nil
}

// Refused counts a configuration that could not even be read.
func (p *Proxy) Refused(err error) {
	p.metrics.Reloaded(err)
	p.noteRejected(err)
}

// Config is the configuration that the proxy runs.
func (p *Proxy) Config() *config.Config { return p.current.Load().config }

// adopt makes a generation the current one.
func (p *Proxy) adopt(g *generation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live = append(p.live, g)
	p.watch()
	p.current.Store(g)
}

// serve hands requests over to the new generation. Listeners that only the old one has
// retire.
func (p *Proxy) serve(g, old *generation) {
	for _, b := range g.listeners {
		if old.uses(b.listener) != nil {
			b.listener.Use(b.forwarder)
		} else {
			p.served.Go(b.listener.Serve)
		}
	}
	for _, b := range old.listeners {
		if g.uses(b.listener) == nil {
			b.listener.Leave()
		}
	}
}

// outlive drains what only the old generation has, and then forgets it.
func (p *Proxy) outlive(old, next *generation) {
	ctx, cancel := context.WithTimeout(p.context, next.config.Drain.Timeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, b := range old.listeners {
		if next.uses(b.listener) == nil {
			wg.Go(func() { b.listener.Retire(ctx, idleGrace(next.config.Drain.Timeout)) })
		}
	}
	wg.Wait()
	old.quiet(p.context)
	_ = p.recorder.Flush(ctx) // it counts what it can
	p.reloading.Lock()        // what is being built has series, too
	defer p.reloading.Unlock()
	p.mu.Lock()
	p.live = slices.DeleteFunc(p.live, func(g *generation) bool { return g == old })
	p.watch()
	p.mu.Unlock()
	old.releaseSecrets()
	p.retain()
}

// quiet waits until no request is under way in this generation. It looks twice: a
// request that has just got its forwarder is counted there by the second look. It looks
// less and less often, since requests may last for days.
func (g *generation) quiet(ctx context.Context) {
	wait := 50 * time.Millisecond
	for seen := 0; seen < 2; wait = min(2*wait, time.Second) {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		if seen++; g.requests() > 0 {
			seen = 0
		}
	}
}

// retain drops the metrics of routes that no generation has any more.
func (p *Proxy) retain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	var labels []*hop.Labels
	for _, g := range p.live {
		labels = append(labels, g.labelled...)
		labels = append(labels, g.fromCatalog...)
	}
	p.metrics.Retain(labels)
}

// traffic is what goes on at a listener, together with older ones of the same name that
// have not drained.
type traffic struct {
	*listener.Counts
	direction string
	requests  int64 // on their way
	limit     int   // of connections; that of the latest
}

// traffic is that of all listeners, by name.
func (p *Proxy) traffic() map[string]traffic {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[string]traffic{}
	for _, g := range p.live {
		for _, b := range g.listeners {
			t := all[b.config.Name]
			t.Counts, t.direction, t.limit = b.listener.Counts, b.config.Direction, b.config.MaxConnections
			t.requests += b.forwarder.Active.Load()
			all[b.config.Name] = t
		}
	}
	return all
}
