package healthcheck

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// pace is the time between the first probes of endpoints. It spreads the probes of
// thousands of endpoints that are added at once, and they stay spread later.
const pace = time.Millisecond

// Report is the outcome of a probe.
type Report struct {
	// Health is the endpoint's health by all its checks: the worst of them. Pending is
	// worse than healthy and degraded.
	Health Health
	// Changed reports whether Health differs from the previous report.
	Changed bool
	// Detail says in words why the endpoint has that health.
	Detail string
	// Check is the index of the check that was made, and Result its result.
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

// New returns a Checker that makes the given checks, at least one, with each endpoint.
// Its error says which check is invalid and why. Call Close in the end.
func New(checks []Options, config TLSConfig) (*Checker, error) {
	if len(checks) == 0 {
		return nil, errors.New("no health check is given")
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

// SetTraffic says whether the cluster gets requests; at first it gets none. That decides
// how often endpoints are probed. When requests begin, a probe that is far off is brought
// forward to within its interval.
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

// Close removes all endpoints, and waits until no probe is under way. Do not call it
// while holding a lock that a report takes.
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

// Add begins to check the endpoint at address, a host and port. It calls report after
// each probe, one call at a time for each endpoint. report may take locks that are held
// around Add, Remove and SetTraffic. On a closed Checker, Add does nothing.
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

// first returns the time until an endpoint's first probe.
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

// enter makes Close wait for a probe. It returns false if the Checker is closed. Call it
// before locking a watch.
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

// Remove ends the checks of the endpoint, and cancels those that are under way. A report
// that has begun may still run when Remove returns; none begins after that.
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

// note reports the result of a probe, and returns the time until the next.
func (e *Endpoint) note(w *watch, r Result, traffic bool) (wait time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, _, wait = w.machine.Next(r, traffic, rand.Uint64)
	if r.Outcome != NotMade {
		w.detail = r.Detail // explains the present health
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

// worst returns the worst health of all checks, and the detail of that check.
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
