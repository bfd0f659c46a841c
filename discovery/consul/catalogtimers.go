package consul

import (
	"time"

	"github.com/hopscope/hopscope/discovery"
)

// date is the time of something to do. The zero value means never.
type date struct{ at time.Time }

func (d date) due(now time.Time) bool { return !d.at.IsZero() && !now.Before(d.at) }

// catalogTimers say when a watch of the catalog has to act by itself.
type catalogTimers struct {
	sweep  date // ask for a few of the services that are queued
	retry  date // ask again for those that failed
	expire date // believe what was doubted
}

// plan sets the timers after a round of work.
func (t *catalogTimers) plan(now time.Time, state *catalogState, backoff *discovery.Backoff) {
	switch {
	case len(state.queue) == 0:
		t.sweep = date{}
	case t.sweep.at.IsZero() || t.sweep.due(now):
		t.sweep = date{now.Add(catalogConcurrency * sweepEach)}
	}
	switch {
	case len(state.failed) == 0:
		t.retry = date{}
		backoff.Reset()
	case t.retry.at.IsZero() || t.retry.due(now):
		t.retry = date{now.Add(backoff.Next())}
	}
	t.expire = date{state.expire(now)}
}

// next is how long to wait until something is due.
func (t *catalogTimers) next(now time.Time) time.Duration {
	wait := time.Hour
	for _, d := range []date{t.sweep, t.retry, t.expire} {
		if !d.at.IsZero() {
			wait = min(wait, d.at.Sub(now))
		}
	}
	return max(wait, 0)
}
