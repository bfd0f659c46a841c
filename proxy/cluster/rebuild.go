package cluster

import (
	"context"
	"time"
)

// gather is how long after a new state the next is made at the earliest; rest is the same as
// a multiple of the time that making it took, and the longer counts. The checks of ten
// thousand endpoints, which report one after the other, so become a few changes, and
// keep no processor busy.
const (
	gather = 5 * time.Millisecond
	rest   = 4
)

// changesByItself reports whether the cluster changes otherwise than by its source and by
// hand: by checks, by ejections, or as weights grow with time.
func (c *Cluster) changesByItself() bool {
	return c.detector != nil || c.checker != nil || c.options.SlowStart != nil
}

// rebuildOnChange makes a new state whenever something has changed, and as time passes.
func (c *Cluster) rebuildOnChange(ctx context.Context) {
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

// wake has rebuildOnChange look what has changed.
func (c *Cluster) wake() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}
