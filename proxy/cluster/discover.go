package cluster

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/telemetry/events"
)

// sourceState is what is known of the source.
type sourceState struct {
	missing bool
	nearest string // the service that was most likely meant, if this one is missing
	// known is when the endpoints were last known to be those: now, while err is
	// nil. It is zero while nothing is known.
	known time.Time
	// recalled is true while they are what somebody else was told, see Options.Known.
	recalled bool
	err      error     // why its answer is stale, nil while it is fresh
	since    time.Time // when that began
	updated  time.Time // when the last good answer came
	updates  uint64
	errs     uint64
}

// update takes in what the source delivers.
func (c *Cluster) update(u discovery.Update) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.note(u)
	if u.Err == nil || u.Endpoints != nil || len(c.order) == 0 {
		c.replace(u)
	}
	c.answered = true
	c.renew()
}

// recall takes in what the source said to another cluster or process. It holds until the
// source answers here.
func (c *Cluster) recall(k *discovery.Known) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k != nil {
		c.source.known, c.source.since, c.source.recalled = k.At, k.At, true
		c.source.err = fmt.Errorf("%s has not answered yet", c.from())
		c.replace(discovery.Update{Endpoints: k.Endpoints, Missing: k.Missing})
	}
	c.rebuild()
	if c.warming {
		c.wake()
	}
}

// Known returns what the source said last, or false if it has said nothing, or there is no
// source.
func (c *Cluster) Known() (k discovery.Known, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.source
	if c.options.Source == nil || s.known.IsZero() {
		return discovery.Known{}, false
	}
	k = discovery.Known{Missing: s.missing, At: s.known, Endpoints: make([]discovery.Endpoint, len(c.order))}
	if s.err == nil {
		k.At = time.Now()
	}
	for i, e := range c.order {
		k.Endpoints[i] = e.given
	}
	return k, true
}

// note takes in what an update says of the source.
func (c *Cluster) note(u discovery.Update) {
	s := &c.source
	if u.Err == nil {
		if s.err != nil && !c.options.Fed && c.answered {
			after := time.Since(s.since).Round(time.Millisecond)
			c.log.Info("the source of endpoints is there again", "cluster", c.Name, "source", c.from(), "after", after)
			c.options.Note(events.DiscoveryBack, "", fmt.Sprintf("%s answers again for cluster %s, after %s", c.from(), c.Name, after))
		}
		s.err, s.since, s.updated = nil, time.Time{}, time.Now()
		s.known, s.recalled = s.updated, false
		s.updates++
		return
	}
	s.errs++
	if s.err == nil {
		s.since = time.Now()
		if !s.known.IsZero() {
			s.known = s.since
		}
	}
	if (s.err == nil || !c.answered) && !c.options.Fed {
		what := "the source of endpoints fails; the last that were known stay"
		if s.known.IsZero() {
			what = "the source of endpoints fails; none is known yet"
		}
		c.log.Warn(what, "cluster", c.Name, "source", c.from(), "error", u.Err, "endpoints", len(c.order))
		c.options.Note(events.DiscoveryFailing, "", fmt.Sprintf("%s can't be asked for cluster %s: %v", c.from(), c.Name, u.Err))
	}
	s.err = u.Err
}

// replace makes the endpoints those of the update.
func (c *Cluster) replace(u discovery.Update) {
	c.source.missing, c.source.nearest = u.Missing, u.Nearest
	order := make([]*Endpoint, 0, len(u.Endpoints))
	keep := make(map[string]*Endpoint, len(u.Endpoints))
	var added, removed []string
	for _, given := range u.Endpoints {
		if keep[given.Address] != nil {
			continue // named twice
		}
		e := c.endpoints[given.Address]
		if e == nil {
			e = c.newEndpoint(given)
			if !e.inherited {
				added = append(added, given.Address)
				e.cold.Store(c.answered) // those of the first answer may have been there for long
			}
		} else if e.given.Health == discovery.Unhealthy && given.Health != discovery.Unhealthy {
			e.cold.Store(true)
		}
		e.given = given
		keep[given.Address] = e
		order = append(order, e)
	}
	for address, e := range c.endpoints {
		if keep[address] == nil {
			removed = append(removed, address)
			c.drop(e)
		}
	}
	c.endpoints, c.order, c.records = keep, order, recordsOf(order)
	if c.options.Source != nil && len(added)+len(removed) > 0 {
		c.counts.added.Add(uint64(len(added)))
		c.counts.removed.Add(uint64(len(removed)))
		slices.Sort(removed)
		c.log.Info("endpoints changed", "cluster", c.Name, "source", c.from(), "endpoints", len(order), "added", few(added), "removed", few(removed))
		c.options.Note(events.EndpointsChanged, "", c.changeText(added, removed))
	}
	for _, e := range order {
		c.noteGiven(e)
	}
}

// changeText says which endpoints came and went.
func (c *Cluster) changeText(added, removed []string) string {
	var parts []string
	for _, p := range []struct {
		what string
		list []string
	}{{"added ", added}, {"removed ", removed}} {
		if len(p.list) > 0 {
			parts = append(parts, p.what+strings.Join(few(p.list), ", "))
		}
	}
	return fmt.Sprintf("the endpoints of cluster %s changed: %s; %d now", c.Name, strings.Join(parts, "; "), len(c.order))
}

// noteGiven notes that the source says another health of an endpoint than before.
func (c *Cluster) noteGiven(e *Endpoint) {
	was := e.noted
	e.noted = e.given.Health
	if was == e.noted {
		return
	}
	kind := events.EndpointUnhealthy
	switch e.noted {
	case discovery.Healthy:
		kind = events.EndpointHealthy
	case discovery.Degraded:
		kind = events.EndpointDegraded
	}
	c.options.Note(kind, e.Address, fmt.Sprintf("%s is %s in %s%s", e, e.noted, c.from(), e.said()))
}

// drop forgets an endpoint that is no longer in the cluster.
func (c *Cluster) drop(e *Endpoint) {
	if c.checker != nil {
		e.probe.Remove()
		c.settle(e)
	}
	c.pools.drop(e.Address)
}

// settle no longer waits for the first check of an endpoint, if it did.
func (c *Cluster) settle(e *Endpoint) {
	if e.pending {
		e.pending = false
		c.pending--
	}
}

// few shortens a list for the log.
func few(list []string) []string {
	if len(list) > 10 {
		return append(list[:10:10], "...")
	}
	return list
}
