package snapshot

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"slices"
	"sync"

	"github.com/hopscope/hopscope/discovery/consul"
	"github.com/hopscope/hopscope/proxy/config"
)

// metaByTag marks instances in Consul that are proxies, registered because of a tag. The
// catalog is served without them: their requests would go round in a circle.
const metaByTag = "hopscope-by-tag"

// byTag keeps this proxy registered in Consul under the names that tags of the catalog ask
// for.
type byTag struct {
	agents *agents
	log    *slog.Logger
	work   *sync.WaitGroup // what it does beside its callers

	mu     sync.Mutex                     // over the rest but registered
	wanted map[string]consul.Registration // by name
	asked  config.Consul                  // the agent
	ended  bool

	working    sync.Mutex // over registered, one change at a time
	registered map[string]*registration
}

// announce has the proxy registered as the catalog's tags ask for now, if the generation is
// in use. The caller holds Proxy.applying.
func (g *generation) announce() {
	rc, b := g.config.Register.Consul, g.byTag
	switch {
	case g.current.Load() != g: // the one that is in use does
	case g.catalog == nil || rc == nil || len(rc.Names) == 0:
		b.want(nil, config.Consul{})
	case g.catalog.plan != nil:
		asked, wanted := g.config.ConsulFor(nil), map[string]consul.Registration{}
		for _, name := range g.catalog.plan.Registers {
			wanted[name] = g.registeredByTag(name, rc, &asked)
		}
		b.want(wanted, asked)
	}
}

// announceNames is announce for the generation in use.
func (p *Proxy) announceNames() {
	p.applying.Lock()
	defer p.applying.Unlock()
	p.current.Load().announce()
}

// registeredByTag is this proxy under a name: the first listener that serves the catalog. The
// agent checks that as it checks the proxy in its own registration.
func (g *generation) registeredByTag(name string, rc *config.RegisterConsul, asked *config.Consul) consul.Registration {
	address := g.catalogListeners()[0].listener.Addr()
	host, _ := os.Hostname()
	check := consul.Check{Name: "hopscope as " + name, TCP: checkedAt(rc, address), Up: true}
	if k := rc.Check; k != nil {
		check.Interval, check.Timeout, check.DeregisterAfter = k.Interval, k.Timeout, k.DeregisterAfter
	}
	return consul.Registration{
		Name: name, ID: fmt.Sprintf("%s-%s-%d", name, host, address.Port()), Address: rc.Address, Port: int(address.Port()),
		Meta: map[string]string{metaByTag: "true"}, PassingWeight: rc.Weight, WarningWeight: 1,
		Checks: []consul.Check{check}, Namespace: asked.Namespace, Partition: asked.Partition,
	}
}

// want says under which names the proxy is to be registered from now on. It does not wait for
// that.
func (b *byTag) want(wanted map[string]consul.Registration, asked config.Consul) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended || len(wanted) == len(b.wanted) && reflect.DeepEqual(asked, b.asked) && maps.EqualFunc(wanted, b.wanted, sameRegistration) {
		return
	}
	b.wanted, b.asked = wanted, asked
	b.work.Go(b.change)
}

func sameRegistration(a, b consul.Registration) bool { return reflect.DeepEqual(a, b) }

// change makes what is registered what is wanted.
func (b *byTag) change() {
	b.working.Lock()
	defer b.working.Unlock()
	b.mu.Lock()
	wanted, asked, ended := b.wanted, b.asked, b.ended
	b.mu.Unlock()
	if ended {
		return
	}
	before := b.registered
	b.registered = map[string]*registration{}
	for name, what := range wanted {
		r := before[name]
		if r == nil || !reflect.DeepEqual(r.what, what) || !reflect.DeepEqual(r.asked, asked) {
			now, err := register(what, asked, b.agents, b.log)
			if err != nil {
				b.log.Error("the proxy can't be registered as a tag asks for", "service", name, "error", err)
				continue
			}
			r = now
		}
		b.registered[name] = r
	}
	for name, r := range before {
		if now := b.registered[name]; now != r {
			r.end(context.Background(), now.ids())
		}
	}
}

// end takes the proxy out of Consul under all of these names, but for the IDs to keep, and
// reports whether there was any. Nothing is registered after it.
func (b *byTag) end(ctx context.Context, keep []string) (any bool) {
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
	b.working.Lock()
	defer b.working.Unlock()
	var wg sync.WaitGroup
	for _, r := range b.registered {
		any = true
		wg.Go(func() { r.end(ctx, keep) })
	}
	wg.Wait()
	b.registered = nil
	return any
}

// ids are those that are registered, or about to be.
func (b *byTag) ids() (all []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(b.wanted)) {
		all = append(all, b.wanted[name].ID)
	}
	return all
}
