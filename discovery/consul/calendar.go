package consul

import (
	"time"

	"github.com/hopscope/hopscope/discovery"
)

// date is when something is to be done; the zero value is never.
type date struct{ at time.Time }

func (d date) due(now time.Time) bool { return !d.at.IsZero() && !now.Before(d.at) }

// calendar is what a watch of the catalogue has to do without being told.
type calendar struct {
	sweep  date // ask for a few of the services that are queued
	retry  date // ask again for those that failed
	expire date // believe what was doubted
}

// plan sets the dates after each round of work.
func (c *calendar) plan(now time.Time, l *ledger, backoff *discovery.Backoff) {
	switch {
	case len(l.queue) == 0:
		c.sweep = date{}
	case c.sweep.at.IsZero() || c.sweep.due(now):
		c.sweep = date{now.Add(catalogConcurrency * sweepEach)}
	}
	switch {
	case len(l.failed) == 0:
		c.retry = date{}
		backoff.Reset()
	case c.retry.at.IsZero() || c.retry.due(now):
		c.retry = date{now.Add(backoff.Next())}
	}
	c.expire = date{l.expire(now)}
}

// next is how long there is nothing to do.
func (c *calendar) next(now time.Time) time.Duration {
	wait := time.Hour
	for _, d := range []date{c.sweep, c.retry, c.expire} {
		if !d.at.IsZero() {
			wait = min(wait, d.at.Sub(now))
		}
	}
	return max(wait, 0)
}
