package guard

import (
	"sync"
	"sync/atomic"
	"time"
)

// Options are what a canary is judged by.
type Options struct {
	// MinRequests is how many requests either side must have in the window.
	MinRequests int
	// MaxErrorRate is by how much the canary's share of failed requests may be above that of
	// the stable targets: 0.02 for two of a hundred. From 1 on errors are not judged.
	MaxErrorRate float64
	// MaxP99 is how many times as long as that of the stable targets the canary's 99th
	// percentile of durations may be. 0 does not judge it.
	MaxP99 float64
	// Window is how far back requests count.
	Window time.Duration
}

// Side is one of the two that are compared.
type Side uint8

// The sides.
const (
	Stable Side = iota
	Canary
)

// Result is how a request ended.
type Result struct {
	Failed bool
	Took   time.Duration
}

// often is how often the sides are compared at most, by the times of the requests.
const often = time.Second

// Guard watches one canary. Use [New]. Its methods are safe for concurrent use.
type Guard struct {
	options Options
	tripped atomic.Bool

	mu      sync.Mutex
	sides   [2]window
	latest  time.Time // of the times of the requests
	judged  time.Time
	verdict *Verdict // nil while it has not tripped
}

// New returns a guard that knows of no request.
func New(o Options) *Guard {
	g := &Guard{options: o}
	g.clear()
	return g
}

func (g *Guard) clear() {
	for i := range g.sides {
		g.sides[i] = window{length: g.options.Window}
	}
	g.latest, g.judged, g.verdict = time.Time{}, time.Time{}, nil
}

// Tripped reports whether the canary was found worse. It costs one load.
func (g *Guard) Tripped() bool { return g.tripped.Load() }

// Observe counts a request that ended at a time. It returns the verdict if this is the
// request with which the guard trips, else nil.
func (g *Guard) Observe(at time.Time, side Side, r Result) *Verdict {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.verdict != nil {
		return nil
	}
	if g.latest.Sub(at) >= g.options.Window-g.options.Window/slots {
		return nil // it is long past
	}
	g.turn(at)
	g.sides[side].add(at, r)
	if g.latest.Sub(g.judged) < often {
		return nil
	}
	g.judged = g.latest
	v := g.options.judge(&g.sides[Stable].total, &g.sides[Canary].total)
	if v != nil {
		v.At, g.verdict = g.latest, v
		g.tripped.Store(true)
	}
	return v
}

// turn brings the windows up to date, if a time is later than those before.
func (g *Guard) turn(at time.Time) {
	if !at.After(g.latest) {
		return
	}
	g.latest = at
	for i := range g.sides {
		g.sides[i].turn(at)
	}
}

// Reset forgets all requests, and the verdict. It reports whether the guard had tripped.
func (g *Guard) Reset() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	had := g.verdict != nil
	g.clear()
	g.tripped.Store(false)
	return had
}

// Status is what a guard knows.
type Status struct {
	// Verdict is why it has tripped; nil if it has not. It is not changed any more.
	Verdict        *Verdict
	Stable, Canary Summary
}

// Status is what the guard knows at a time. Once it has tripped, the sides are as they were
// then.
func (g *Guard) Status(at time.Time) Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	if v := g.verdict; v != nil {
		return Status{v, v.Stable, v.Canary}
	}
	g.turn(at)
	return Status{nil, g.sides[Stable].total.summary(), g.sides[Canary].total.summary()}
}
