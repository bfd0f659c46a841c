package cluster

import (
	"context"
	"time"
)

// gather is how long after a new state the next is made at the earliest, and rest
// how many times as long as making it took, if that is longer. So the checks of ten
// thousand endpoints that report one after the other are a few changes, and keep no
// processor busy.
const (
	gather = 5 * time.Millisecond
	rest   = 4
)

// keeps reports whether the cluster changes by itself, and not by its source and by
// hand alone.
func (c *Cluster) keeps() bool {
	return c.detector != nil || c.checker != nil || c.options.SlowStart != nil
}

// keep makes new states when something has changed, or time has.
func (c *Cluster) keep(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.changed:
		case <-timer.C:
		}
		took, due := c.catchUp()
		if due > 0 {
			timer.Reset(due)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(gather, rest*took)):
		}
	}
}

// catchUp looks for outliers and makes a new state, if it would be another. It
// returns how long that took, and when to come again because of time alone, 0 for
// never.
func (c *Cluster) catchUp() (took, due time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	began := time.Now()
	if c.eject() || c.outdated || c.warming {
		c.rebuild()
	}
	if c.detector != nil {
		due = c.detector.Every()
	}
	if c.warming {
		if w := warmEvery(c.options.SlowStart.Window); due == 0 || w < due {
			due = w
		}
	}
	return time.Since(began), due
}

// warmEvery is how often weights grow during a slow start.
func warmEvery(window time.Duration) time.Duration {
	return min(max(window/20, 10*time.Millisecond), time.Second)
}

// renew makes a new state at once; the caller holds the lock.
func (c *Cluster) renew() {
	c.rebuild()
	if c.warming {
		c.wake()
	}
	if !c.answered || c.pending > 0 {
		return
	}
	select {
	case <-c.ready:
	default:
		close(c.ready) // after the state that is waited for
	}
}

// wake has the keeper look what has changed.
func (c *Cluster) wake() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}
