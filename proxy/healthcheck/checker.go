package healthcheck

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// pace is the time from one first probe to the next, so that thousands of
// endpoints that come at once are not probed at once; nor later, as each keeps its
// distance.
const pace = time.Millisecond

// Report is what a probe changed, or did not.
type Report struct {
	// Health is the endpoint's, of all its checks together: that of the worst,
	// where a pending one is worse than one that is healthy or degraded.
	Health Health
	// Changed reports whether it is another than that of the report before.
	Changed bool
	// Detail is why the endpoint's health is that, in words.
	Detail string
	// Check is the index of the check that was made, and Result what came of it.
	Check  int
	Result Result
}

// Checker checks the endpoints of one cluster. Use [New].
type Checker struct {
	checks []*Options
	config TLSConfig
	open   func(ctx context.Context, address string, o *Options, config TLSConfig) prober

	traffic atomic.Bool
	probes  sync.WaitGroup

	mu     sync.Mutex
	all    map[*Endpoint]struct{}
	starts time.Time // when the next first probe may begin
	closed bool
}

// New returns a Checker that makes the given checks, of which there is at least
// one, with each endpoint. Its error says which of them makes no sense and why.
// Close it.
func New(checks []Options, config TLSConfig) (*Checker, error) {
	if len(checks) == 0 {
		return nil, errors.New("there is no health check to make")
	}
	c := &Checker{config: config, open: newProber, all: map[*Endpoint]struct{}{}}
	for _, o := range checks {
		complete, err := o.complete()
		if err != nil {
			return nil, err
		}
		c.checks = append(c.checks, complete)
	}
	return c, nil
}

// SetTraffic says whether the cluster gets requests, which decides how often its
// endpoints are probed; at first it gets none. When they begin, a probe that is
// far off comes within its interval.
func (c *Checker) SetTraffic(traffic bool) {
	if c.traffic.Swap(traffic) || !traffic {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := range c.all {
		for _, w := range e.watches {
			w.hasten()
		}
	}
}

// Close removes all endpoints, and waits until no probe is under way. Don't hold a
// lock that a report takes.
func (c *Checker) Close() {
	c.mu.Lock()
	c.closed = true
	all := c.all
	c.all = map[*Endpoint]struct{}{}
	c.mu.Unlock()
	for e := range all {
		e.end()
	}
	c.probes.Wait()
}

// Add begins to check the endpoint at the address, host and port. Report is called
// after each probe, one call of an endpoint at a time; it may take locks that are
// held around Add, Remove and SetTraffic. On a Checker that is closed nothing
// happens.
func (c *Checker) Add(address string, report func(Report)) *Endpoint {
	ctx, cancel := context.WithCancel(context.Background())
	e := &Endpoint{checker: c, ctx: ctx, cancel: cancel, report: report}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		cancel()
		return e
	}
	c.all[e] = struct{}{}
	for i, o := range c.checks {
		w := &watch{endpoint: e, check: i, machine: Machine{options: o}, prober: c.open(ctx, address, o, c.config)}
		e.watches = append(e.watches, w)
	}
	for _, w := range e.watches {
		w.begin(c.first(w.machine.options))
	}
	return e
}

// first is the time until an endpoint's first probe.
func (c *Checker) first(o *Options) time.Duration {
	if o.InitialJitter > 0 {
		return jitter(o.InitialJitter, rand.Uint64)
	}
	now := time.Now()
	if c.starts.Before(now) {
		c.starts = now
	}
	wait := c.starts.Sub(now)
	c.starts = c.starts.Add(pace)
	return wait
}

// enter lets Close wait for a probe; false if it is too late for one. It comes
// before any lock of a watch.
func (c *Checker) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.probes.Add(1)
	}
	return !c.closed
}

// Endpoint is an endpoint that is being checked.
type Endpoint struct {
	checker *Checker
	ctx     context.Context // ends when it is removed
	cancel  context.CancelFunc
	report  func(Report)
	watches []*watch

	mu     sync.Mutex // held while a report is made, so that they come in order
	health Health     // of the last report
}

// Remove ends the checks of the endpoint, also those that are under way. A report
// that has begun may still be running when it returns; none begins after.
func (e *Endpoint) Remove() {
	e.checker.mu.Lock()
	delete(e.checker.all, e)
	e.checker.mu.Unlock()
	e.end()
}

func (e *Endpoint) end() {
	e.cancel()
	for _, w := range e.watches {
		w.end()
	}
}

// note takes the result of a probe, reports it, and returns the time until the
// next.
func (e *Endpoint) note(w *watch, r Result, traffic bool) (wait time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, _, wait = w.machine.Next(r, traffic, rand.Uint64)
	if r.Outcome != NotMade {
		w.detail = r.Detail // of the health as it is
	}
	if e.ctx.Err() != nil {
		return wait
	}
	before := e.health
	var detail string
	e.health, detail = e.worst()
	e.report(Report{Health: e.health, Changed: e.health != before, Detail: detail, Check: w.check, Result: r})
	return wait
}

// worst is the health of the checks together, and the words of the one that it is
// the health of.
func (e *Endpoint) worst() (Health, string) {
	worse := [...]int{Healthy: 0, Degraded: 1, Pending: 2, Unhealthy: 3}
	found := e.watches[0]
	for _, w := range e.watches {
		if worse[w.machine.health] > worse[found.machine.health] {
			found = w
		}
	}
	return found.machine.health, found.detail
}
