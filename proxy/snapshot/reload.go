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
	"github.com/hopscope/hopscope/telemetry/hop"
)

// idleGrace is how long connections of HTTP/1 that are idle stay open at a
// listener that is on its way out, for a request that may come: well within the
// time after which they would be cut.
func idleGrace(timeout time.Duration) time.Duration { return min(5*time.Second, timeout/2) }

// errDraining is why there is no reload any more.
var errDraining = errors.New("the proxy is draining: it takes no new configuration")

// Reload goes over to another valid configuration, and says what that changed.
//
// What is the same in both stays as it is: clusters with their connections,
// sockets, and, where a listener's own settings are, the connections of clients,
// whose next requests go by the new routes. Requests that are under way end as
// they began. Where it returns an error, which has a line for each mistake,
// nothing has changed. One reload waits for another.
func (p *Proxy) Reload(c *config.Config) (Changes, error) {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	if p.draining.Load() {
		return Changes{}, errDraining
	}
	old, base := p.current.Load(), resources.FromConfig(c)
	d := resources.Diff(old.base, base)
	if d.None() {
		p.metrics.Reloaded(nil)
		return Changes{}, nil
	}
	err := unchangeable(d)
	var g *generation
	if err == nil {
		if g, err = p.build(c, base, old); err != nil {
			p.retain() // not the series that it came to
		}
	}
	p.metrics.Reloaded(err)
	if err != nil {
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
	if err := p.registerAnew(c, false); err != nil {
		p.options.Log.Error("the service can't be registered as the new configuration says; the registration before stays", "error", err)
	}
	p.served.Go(func() { p.outlive(old, g) })
	return changes(d), nil
}

// Refused counts a configuration that could not even be read.
func (p *Proxy) Refused(err error) { p.metrics.Reloaded(err) }

// Config is the configuration that the proxy runs.
func (p *Proxy) Config() *config.Config { return p.current.Load().config }

// adopt makes a generation the current one.
func (p *Proxy) adopt(g *generation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live = append(p.live, g)
	p.current.Store(g)
}

// serve has the current generation take the requests over from the old one, whose
// listeners it has no use for retire.
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

// outlive drains what the next generation did not take over of an old one, and
// forgets it.
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
	p.mu.Unlock()
	old.releaseSecrets()
	p.retain()
}

// quiet waits until no request is on its way through this generation. One that
// has got its forwarder counts itself there within the time between two looks; one
// that lasts for days is looked at seldom.
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

// retain drops the series of routes that no generation has any more.
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

// traffic is what a listener has to do, together with those of its name that
// came before and have not drained.
type traffic struct {
	*listener.Counts
	requests int64 // on their way
}

// traffic is that of all listeners, by name.
func (p *Proxy) traffic() map[string]traffic {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[string]traffic{}
	for _, g := range p.live {
		for _, b := range g.listeners {
			t := all[b.config.Name]
			t.Counts = b.listener.Counts
			t.requests += b.forwarder.Active.Load()
			all[b.config.Name] = t
		}
	}
	return all
}
