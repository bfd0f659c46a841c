package cluster

import (
	"math/bits"
	"sync/atomic"

	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/outlier"
)

// counts are what a cluster counts for metrics.
type counts struct {
	picks  [8]atomic.Uint64 // by the bit of balance.Outcome
	events [lastEvent][lastReason]atomic.Uint64
	// Endpoints that the source added and removed.
	added, removed atomic.Uint64
}

const (
	lastEvent  = int(outlier.Overflow) + 1
	lastReason = int(outlier.Manual) + 1
)

func (c *counts) picked(how balance.Outcome) {
	for ; how != 0; how &= how - 1 {
		c.picks[bits.TrailingZeros8(uint8(how))].Add(1)
	}
}

func (c *counts) ejected(change outlier.Change) {
	c.events[change.Event][change.Reason].Add(1)
}

// Picks calls emit with the count of each remarkable outcome of a pick, such as a panic.
func (c *Cluster) Picks(emit func(outcome string, n uint64)) {
	for i := range c.counts.picks {
		if n := c.counts.picks[i].Load(); n > 0 {
			emit(balance.Outcome(1<<i).String(), n)
		}
	}
}

// Changes returns how many endpoints the source has added and removed.
func (c *Cluster) Changes() (added, removed uint64) {
	return c.counts.added.Load(), c.counts.removed.Load()
}

// Ejections calls emit with the count of each event and reason of outlier detection that
// has occurred.
func (c *Cluster) Ejections(emit func(event, reason string, n uint64)) {
	for event := range c.counts.events {
		for reason := range c.counts.events[event] {
			if n := c.counts.events[event][reason].Load(); n > 0 {
				emit(outlier.Event(event).String(), outlier.Reason(reason).String(), n)
			}
		}
	}
}
