package cluster

import (
	"fmt"
	"math/rand/v2"

	"github.com/hopscope/hopscope/proxy/outlier"
	"github.com/hopscope/hopscope/telemetry/events"
)

// recordsOf are the records of endpoints, if they have any.
func recordsOf(endpoints []*Endpoint) []*outlier.Host {
	if len(endpoints) == 0 || endpoints[0].record == nil {
		return nil
	}
	records := make([]*outlier.Host, len(endpoints))
	for i, e := range endpoints {
		records[i] = e.record
	}
	return records
}

// eject looks for outliers, and reports whether one is ejected or back; the caller
// holds the lock.
func (c *Cluster) eject() (changed bool) {
	if c.detector == nil {
		return false
	}
	changes := c.detector.Decide(c.shared.Now(), c.records, rand.Uint64)
	if len(changes) == 0 {
		return false
	}
	owners := make(map[*outlier.Host]*Endpoint, len(c.order))
	for _, e := range c.order {
		owners[e.record] = e
	}
	for _, change := range changes {
		c.told(owners[change.Host], change)
		changed = changed || change.Event == outlier.Ejected || change.Event == outlier.Unejected
	}
	return changed
}

// told counts and logs what happened to an endpoint.
func (c *Cluster) told(e *Endpoint, change outlier.Change) {
	c.counts.ejected(change)
	switch change.Event {
	case outlier.Ejected:
		c.log.Warn("endpoint ejected", "cluster", c.Name, "endpoint", e.Address, "reason", change.Reason.String(), "because", change.Detail)
		c.options.Note(events.EndpointEjected, e.Address, e.String()+" was ejected: "+change.Detail)
	case outlier.Unejected:
		c.log.Info("endpoint back", "cluster", c.Name, "endpoint", e.Address, "reason", change.Reason.String(), "because", change.Detail)
		c.options.Note(events.EndpointRestored, e.Address, e.String()+" gets requests again: "+change.Detail)
	case outlier.Overflow:
		c.log.Warn("endpoint not ejected", "cluster", c.Name, "endpoint", e.Address, "reason", change.Reason.String(), "because", change.Detail)
	}
}

// Action is what a person does to an endpoint. It holds as long as the endpoint is in the
// cluster, whatever checks and outlier detection find.
type Action string

// The actions.
const (
	// Eject treats the endpoint as an ejected outlier: it is used in a panic only, and
	// counts as unhealthy.
	Eject Action = "eject"
	// Drain takes the endpoint out: it is not used even in a panic, and does not count.
	// Requests under way go on to their end.
	Drain Action = "drain"
	// Restore undoes both, and ends an ejection by outlier detection. What the source and
	// the checks say still counts.
	Restore Action = "restore"
)

// byHand is what each action is as an event.
var byHand = map[Action]struct {
	kind events.Kind
	text string
}{
	Eject:   {events.EndpointEjected, " was ejected by hand"},
	Drain:   {events.EndpointEjected, " was drained by hand"},
	Restore: {events.EndpointRestored, " was restored by hand"},
}

// Act does to an endpoint what a person asks for. The error says why it can't be done.
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
		c.ejectByHand(e, a == Eject)
	case Restore:
		e.drained = false
		c.ejectByHand(e, false)
		if e.record != nil {
			if change, ok := c.detector.Uneject(c.shared.Now(), e.record); ok {
				c.told(e, change)
			}
		}
	default:
		return fmt.Errorf("there is no action %q: expected eject, restore or drain", a)
	}
	c.log.Info("endpoint changed by hand", "cluster", c.Name, "endpoint", address, "action", string(a))
	c.options.Note(byHand[a].kind, address, e.String()+byHand[a].text)
	c.renew()
	return nil
}

// ejectByHand ejects an endpoint by hand, or ends that.
func (c *Cluster) ejectByHand(e *Endpoint, eject bool) {
	if e.byHand == eject {
		return
	}
	e.byHand = eject
	event := outlier.Unejected
	if eject {
		event = outlier.Ejected
	}
	c.counts.ejected(outlier.Change{Event: event, Reason: outlier.Manual})
}
