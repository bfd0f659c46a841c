package admission

import (
	"math"
	"sync"
	"time"
)

// Options are the settings of a [Control].
type Options struct {
	// Window is how far back requests count, in whole seconds and at least 1.
	Window time.Duration
	// Threshold is the share of successes, in per cent, from which on all requests are let
	// through.
	Threshold float64
	// Aggression is how steeply requests are refused below that; 1 is in proportion.
	Aggression float64
	// MinRate is how many requests a second it takes for any to be refused.
	MinRate float64
	// MaxRejection is the share of requests, in per cent, that are refused at most.
	MaxRejection float64
}

// Control lets requests through by the success of earlier ones. Use [New]. Any goroutine may
// use it. Times are on one clock that only goes forward.
type Control struct {
	options Options

	mu      sync.Mutex
	seconds []second // a ring, by the second
	now     int64    // the second that is counted now
	since   int64    // the first that was counted in the window
	all     second   // the sum of the window
}

// second is what ended in one second.
type second struct{ requests, successes int }

// New returns a Control that has counted nothing.
func New(o Options) *Control {
	return &Control{options: o, seconds: make([]second, max(int(o.Window/time.Second), 1)), since: -1}
}

// Admit reports whether a request is let through. random is any number; each request has
// another. If the request is, [Control.Record] tells how it went.
func (c *Control) Admit(now time.Duration, random uint64) bool {
	const all = 1 << 53 // what a float64 counts exactly
	return random%all >= uint64(c.Rejection(now)*all)
}

// Record counts a request that is over.
func (c *Control) Record(now time.Duration, success bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(now)
	if c.since < 0 {
		c.since = c.now
	}
	s := &c.seconds[c.now%int64(len(c.seconds))]
	for _, s := range []*second{s, &c.all} {
		s.requests++
		if success {
			s.successes++
		}
	}
}

// Rejection is the chance of a request to be refused now, from 0 to 1.
func (c *Control) Rejection(now time.Duration) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(now)
	o, n := &c.options, float64(c.all.requests)
	if n == 0 || n/float64(max(c.now-c.since, 1)) < o.MinRate {
		return 0
	}
	enough := float64(c.all.successes) / (o.Threshold / 100)
	p := max(n-enough, 0) / (n + 1)
	if o.Aggression != 1 {
		p = math.Pow(p, 1/o.Aggression)
	}
	return min(p, o.MaxRejection/100)
}

// Success is the share of successes in the window, and how many requests it is of.
func (c *Control) Success(now time.Duration) (share float64, of int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(now)
	if c.all.requests == 0 {
		return 1, 0
	}
	return float64(c.all.successes) / float64(c.all.requests), c.all.requests
}

// advance forgets what is older than the window.
func (c *Control) advance(now time.Duration) {
	at, length := int64(now/time.Second), int64(len(c.seconds))
	for n := min(at-c.now, length); n > 0; n-- {
		s := &c.seconds[(at-n+1)%length]
		c.all.requests -= s.requests
		c.all.successes -= s.successes
		*s = second{}
	}
	c.now = max(c.now, at)
	switch {
	case c.all.requests == 0:
		c.since = -1
	default:
		c.since = max(c.since, c.now-length+1)
	}
}
