package consul

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/discovery"
)

// CatalogOptions say what of the catalog to watch, and how. The fields mean what they do in
// Options.
type CatalogOptions struct {
	Datacenter, Namespace, Partition string
	OnlyPassing, Stale               bool
	Wait, Grace                      time.Duration
	Backoff                          discovery.Backoff
	// Known are the services that Consul had before, nil for none. They stay until Consul
	// says otherwise.
	Known map[string][]Instance
}

// CatalogUpdate is all that is known of the catalog at one moment. Each one replaces the
// one before.
type CatalogUpdate struct {
	// Services are all services by name, each with its instances in a stable order. A
	// service may have none that can be reached.
	Services map[string][]Instance
	// Err is why a part could not be asked for; that part is what it was before. Services
	// is nil as long as there was no good answer at all.
	Err error
}

// Catalog watches every service of a datacenter. However many there are, it keeps two
// questions open: the names of all services, and the state of all checks. When an answer
// shows that something changed, it asks for what did.
type Catalog struct {
	client     *Client
	api        *api.Client
	options    CatalogOptions
	datacenter datacenter
}

const (
	// Changes that come together make one update.
	gather = 50 * time.Millisecond
	// So many services are asked for at the same time.
	catalogConcurrency = 8
	// When the catalog changed and Consul does not tell where, all services are asked
	// for, fifty a second: with many proxies it is a load on Consul.
	sweepEach = 20 * time.Millisecond
)

// Catalog returns a watch of the catalog. It does not ask the agent yet.
func (c *Client) Catalog(o CatalogOptions) (*Catalog, error) {
	filled, err := Options{Service: "catalog", Wait: o.Wait, Grace: o.Grace}.filled()
	if err != nil {
		return nil, err
	}
	o.Wait, o.Grace = filled.Wait, filled.Grace
	client, err := c.api(o.Namespace, o.Partition)
	if err != nil {
		return nil, fmt.Errorf("consul: %w", err)
	}
	return &Catalog{client: c, api: client, options: o, datacenter: datacenter{api: client}}, nil
}

// Run calls deliver with the first answer, and again whenever the catalog changes, goes
// stale or is fresh again, until ctx is done. All calls come from the goroutine of Run.
// deliver may keep the update, but must not change it. Run leaves no goroutine behind.
func (c *Catalog) Run(ctx context.Context, deliver func(CatalogUpdate)) {
	names := make(chan reply[map[string][]string])
	states := make(chan reply[api.HealthChecks])
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { into(ctx, names, follows(c, c.askNames)) })
	running.Go(func() { into(ctx, states, follows(c, c.askStates)) })

	state := newCatalogState(c.options.Grace)
	state.recall(c.options.Known)
	var last *CatalogUpdate
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var timers catalogTimers
	backoff := c.options.Backoff
	for {
		timer.Reset(timers.next(time.Now()))
		select {
		case <-ctx.Done():
			return
		case r := <-names:
			state.names(time.Now(), r)
			c.gather(ctx, state, names, states)
		case r := <-states:
			state.states(time.Now(), r)
			c.gather(ctx, state, names, states)
		case now := <-timer.C:
			if timers.retry.due(now) {
				state.retry()
			}
		}
		few := 0
		if timers.sweep.due(time.Now()) {
			few = catalogConcurrency
		}
		c.refresh(ctx, state, few)
		if ctx.Err() != nil {
			return
		}
		timers.plan(time.Now(), state, &backoff)
		if update, ok := state.update(); ok && (last == nil || !sameCatalog(*last, update)) {
			deliver(update)
			last = &update
		}
	}
}

// gather waits for what changes together with what changed.
func (c *Catalog) gather(ctx context.Context, state *catalogState, names <-chan reply[map[string][]string], states <-chan reply[api.HealthChecks]) {
	timer := time.NewTimer(gather)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-names:
			state.names(time.Now(), r)
		case r := <-states:
			state.states(time.Now(), r)
		case <-timer.C:
			return
		}
	}
}

// follows is a question of this catalog, without what is asked.
func follows[T any](c *Catalog, ask func(*api.QueryOptions) (T, *api.QueryMeta, error)) question[T] {
	return question[T]{
		ask:     ask,
		options: api.QueryOptions{Datacenter: c.options.Datacenter, AllowStale: c.options.Stale},
		wait:    c.options.Wait,
		backoff: c.options.Backoff,
		away:    c.options.Known != nil,
	}
}

func into[T any](ctx context.Context, replies chan<- reply[T], q question[T]) {
	q.follow(ctx, func(r reply[T]) time.Duration {
		select {
		case replies <- r:
		case <-ctx.Done():
		}
		return 0
	})
}

const catalogNeeds = "service:read and node:read on all that it is to see"

func (c *Catalog) askNames(o *api.QueryOptions) (map[string][]string, *api.QueryMeta, error) {
	names, meta, err := c.api.Catalog().Services(o)
	if err == nil && len(names) == 0 {
		// A catalog has at least Consul itself.
		return names, meta, c.client.believable(meta, catalogNeeds)
	}
	return names, meta, c.client.explain(err, catalogNeeds)
}

func (c *Catalog) askStates(o *api.QueryOptions) (api.HealthChecks, *api.QueryMeta, error) {
	states, meta, err := c.api.Health().State(api.HealthAny, o)
	return states, meta, c.client.explain(err, catalogNeeds)
}

// refresh asks for the services of which something changed, or for a few of the others.
func (c *Catalog) refresh(ctx context.Context, state *catalogState, few int) {
	type answer struct {
		instances []Instance
		index     uint64
		err       error
	}
	names := state.next(few)
	answers := make([]answer, len(names))
	slots := make(chan struct{}, catalogConcurrency)
	var asking sync.WaitGroup
	for i, name := range names {
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			a := &answers[i]
			a.instances, a.index, a.err = c.ask(ctx, name)
		})
	}
	asking.Wait()
	now := time.Now()
	for i, name := range names {
		state.took(now, name, answers[i].instances, answers[i].index, answers[i].err)
	}
}

// ask asks for one service, and never a server that lags behind: it might not know yet
// of the change that is the reason for asking.
func (c *Catalog) ask(ctx context.Context, name string) ([]Instance, uint64, error) {
	if checkName(name) != nil {
		return nil, 0, nil // Consul registers it, but has no way to ask for it
	}
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	remote, err := c.datacenter.differs(ctx, c.options.Datacenter)
	if err != nil {
		return nil, 0, c.client.explain(err, catalogNeeds)
	}
	entries, meta, err := c.api.Health().Service(name, "", false,
		(&api.QueryOptions{Datacenter: c.options.Datacenter}).WithContext(ctx))
	if err != nil {
		return nil, 0, c.client.explain(err, catalogNeeds)
	}
	if len(entries) == 0 {
		if err := c.client.believable(meta, catalogNeeds); err != nil {
			return nil, 0, err
		}
	}
	v := view{onlyPassing: c.options.OnlyPassing, remote: remote}
	return v.instances(entries), meta.LastIndex, nil
}
