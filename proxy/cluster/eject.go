package cluster

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/hopscope/hopscope/proxy/outlier"
)

// eject looks for outliers; the caller holds the lock.
func (c *Cluster) eject() {
	if c.detector == nil {
		return
	}
	records := make([]*outlier.Host, len(c.order))
	for i, e := range c.order {
		records[i] = e.record
	}
	for _, change := range c.detector.Decide(c.shared.Now(), records, rand.Uint64) {
		i := slices.Index(records, change.Host)
		c.told(c.order[i], change)
	}
}

// told counts and logs what happened to an endpoint.
func (c *Cluster) told(e *Endpoint, change outlier.Change) {
	c.counts.ejected(change)
	switch change.Event {
	case outlier.Ejected:
		c.log.Warn("endpoint ejected", "cluster", c.Name, "endpoint", e.Address, "reason", change.Reason.String(), "because", change.Detail)
	case outlier.Unejected:
		c.log.Info("endpoint back", "cluster", c.Name, "endpoint", e.Address, "reason", change.Reason.String(), "because", change.Detail)
	case outlier.Overflow:
		c.log.Warn("endpoint not ejected", "cluster", c.Name, "endpoint", e.Address, "reason", change.Reason.String(), "because", change.Detail)
	}
}

// Action is what a person does to an endpoint.
type Action string

// The actions.
const (
	// Eject takes an endpoint out; it is used in a panic alone.
	Eject Action = "eject"
	// Drain takes it out altogether; requests under way end.
	Drain Action = "drain"
	// Restore takes back both, and any ejection.
	Restore Action = "restore"
)

// Act does what a person asks for. The error says why it can't be done.
func (c *Cluster) Act(address string, a Action) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.endpoints[address]
	if e == nil {
		return fmt.Errorf("cluster %s has no endpoint %s", c.Name, address)
	}
	switch a {
	case Drain, Eject:
		e.drained = a == Drain
		e.byHand = a == Eject
	case Restore:
		e.drained, e.byHand = false, false
		if e.record != nil {
			if change, ok := c.detector.Uneject(c.shared.Now(), e.record); ok {
				c.told(e, change)
			}
		}
	default:
		return fmt.Errorf("there is no action %q: expected eject, restore or drain", a)
	}
	c.log.Info("endpoint changed by hand", "cluster", c.Name, "endpoint", address, "action", string(a))
	c.rebuild()
	return nil
}
