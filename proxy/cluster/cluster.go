package cluster

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/healthcheck"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/outlier"
	"github.com/hopscope/hopscope/proxy/upstream"
	"github.com/hopscope/hopscope/telemetry/events"
)

// Options are a cluster's settings.
type Options struct {
	// Upstream says how connections are made; how many there may be is in Limits and High.
	Upstream upstream.Options
	// Source delivers the endpoints; nil means those given to New. From is the source's
	// name for people, such as "Consul".
	Source discovery.Source
	From   string
	// Missing is the kind of failure of a request for a service that the source does not have;
	// the default is [fault.NoCluster].
	Missing fault.Kind
	// Fed says that whoever feeds the source writes to the log about it.
	Fed bool
	// Service is the name of the service behind the cluster; "" if that is not known.
	Service string
	// Balance picks the endpoint for each request.
	Balance balance.Options
	// Decay is how fast a slow answer is forgotten. 0 is peak EWMA's default.
	Decay time.Duration
	// SlowStart gives few requests at first to endpoints that are new or well again; nil is
	// off.
	SlowStart *SlowStart
	// Limits bound what is under way, and High what requests of high priority have under
	// way beside that. Set them: 0 lets nothing through.
	Limits, High Limits
	// Outlier ejects endpoints that fail; nil is off.
	Outlier *outlier.Options
	// Checker asks the endpoints for their health; nil is off. The cluster closes it.
	Checker *healthcheck.Checker
	// Known is what the source said last, to another cluster or process. It holds until the
	// source answers here. Nil is nothing.
	Known *discovery.Known
	// Before is the cluster that this one replaces, nil for none. It goes on until it is
	// closed. This one takes over what the settings leave the same. SameChecks says that
	// those of the health checks are the same.
	Before     *Cluster
	SameChecks bool
	// Memory is what another process knew of the endpoints, nil for nothing.
	Memory *Memory
	// Log gets what happens to endpoints; nil is nowhere.
	Log *slog.Logger
	// Note remembers what happens to them; nil is nowhere. It is called under the cluster's
	// lock.
	Note func(kind events.Kind, endpoint, text string)
}

// SlowStart says how the share of an endpoint grows that is new, or well again; see
// [balance.SlowStart].
type SlowStart struct {
	Window                 time.Duration
	Aggression, MinPercent float64
}

// Cluster is a group of endpoints that a request may go to. Use [New].
type Cluster struct {
	// Name is the cluster's name in the configuration.
	Name     string
	options  Options
	shared   *netio.Shared
	log      *slog.Logger
	limits   [priorities]limits
	pools    *pools
	total    *balance.Total
	detector *outlier.Detector    // nil where none is ejected
	checker  *healthcheck.Checker // nil where none is checked
	state    atomic.Pointer[state]
	counts   *counts
	naming   atomic.Pointer[naming] // nil while the service has not named itself
	used     atomic.Bool            // a request has come
	panicked atomic.Int64           // when a panic was last noted, on the proxy's clock
	ready    chan struct{}          // closed when Ready is to return
	changed  chan struct{}          // wakes rebuildOnChange
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu        sync.Mutex // guards what follows, and what is said of endpoints
	endpoints map[string]*Endpoint
	order     []*Endpoint     // as the source delivers them
	records   []*outlier.Host // theirs, where there is a detector
	pending   int             // endpoints whose first check has not ended
	source    sourceState
	answered  bool // the source has, well or badly
	outdated  bool // something has changed since the state was made
	warming   bool // some weight grows with time
	closed    bool
	next      *Cluster // that comes in the place of this one, if any does
}

// New returns a cluster of these endpoints, or, with a Source, of those that it delivers.
// Close it.
func New(name string, endpoints []discovery.Endpoint, o Options, shared *netio.Shared) *Cluster {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Note == nil {
		o.Note = func(events.Kind, string, string) {}
	}
	o.Missing = cmp.Or(o.Missing, fault.NoCluster)
	c := &Cluster{
		Name: name, options: o, shared: shared, log: o.Log,
		endpoints: map[string]*Endpoint{}, ready: make(chan struct{}), changed: make(chan struct{}, 1),
	}
	c.limits[Default].Limits, c.limits[High].Limits = o.Limits, o.High
	c.checker = o.Checker
	if o.Before != nil {
		c.takeOver(o.Before)
	}
	c.makeRest()
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.state.Store(&state{set: balance.NewSet(nil, &c.options.Balance, 0)})
	if o.Source == nil {
		c.update(discovery.Update{Endpoints: endpoints})
	} else {
		c.recall(o.Known)
		c.running.Go(func() { o.Source.Run(ctx, c.update) })
	}
	if c.changesByItself() {
		c.running.Go(func() { c.rebuildOnChange(ctx) })
	}
	return c
}

// makeRest makes what was not taken over from the cluster before.
func (c *Cluster) makeRest() {
	if c.pools == nil {
		c.pools = newPools(c.newGroups())
	}
	if c.counts == nil {
		c.counts = new(counts)
		for p := range c.limits {
			c.limits[p].flow = new(flow)
		}
	}
	if c.total == nil {
		c.total = new(balance.Total)
	}
	if o := c.options.Outlier; o != nil && c.detector == nil {
		c.detector = outlier.New(*o)
	}
}

// newGroups makes a group of connections for each priority.
func (c *Cluster) newGroups() (groups [priorities]*upstream.Group) {
	for p := range groups {
		o, l := c.options.Upstream, &c.limits[p]
		o.MaxConnections, o.MaxPending, o.Breaker = l.MaxConnections, l.MaxPending, Priority(p).breaker()
		groups[p] = upstream.NewGroup(c.Name, o, c.shared)
	}
	return groups
}

// Ready waits until the cluster knows its endpoints and their health: the source has
// answered, or failed to, and each endpoint was checked once. It returns false if ctx is
// done first.
func (c *Cluster) Ready(ctx context.Context) bool {
	select {
	case <-c.ready:
		return true
	case <-ctx.Done():
	}
	select { // both may have been there
	case <-c.ready:
		return true
	default:
		return false
	}
}

// Close ends the source and the checks, and closes idle connections. Connections in use
// close when they are released. Connections that the cluster shares with the one after it
// stay. The last state can still be picked from.
func (c *Cluster) Close() {
	c.mu.Lock()
	again := c.closed
	c.closed = true // what a source says of its own end is no news
	c.mu.Unlock()
	c.cancel()
	c.running.Wait()
	if again {
		return
	}
	if c.checker != nil {
		c.checker.Close()
	}
	c.pools.close(c.order)
	c.mu.Lock()
	next := c.next
	c.next = nil
	c.mu.Unlock()
	if next != nil {
		next.succeed()
	}
}
