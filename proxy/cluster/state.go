package cluster

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/telemetry/events"
)

// state is a cluster as requests see it at one moment. It never changes.
type state struct {
	endpoints []*Endpoint // by their index in set
	set       *balance.Set
	missing   bool                  // the source knows of no such service
	unknown   bool                  // the source has never answered
	tokens    func() map[uint64]int // indexes by Endpoint.Token
	why       string                // why there is nothing to pick, where there is nothing
}

// Pick chooses the endpoint for the next attempt.
func (c *Cluster) Pick(r *balance.Request) (*Endpoint, error) {
	s := c.state.Load()
	i, how := s.set.Pick(r)
	if how != 0 {
		c.counts.picked(how)
		if how&balance.Panic != 0 {
			c.notePanic()
		}
	}
	if i < 0 {
		return nil, c.nothing(s, how)
	}
	return s.endpoints[i], nil
}

// ByToken is the endpoint that a token stands for, if a request may be sent there: it is
// well, or not checked yet, and in the subset that the request asks for. Else it is nil.
func (c *Cluster) ByToken(token uint64, r *balance.Request) *Endpoint {
	s := c.state.Load()
	if s.tokens == nil { // there are no endpoints yet
		return nil
	}
	i, ok := s.tokens()[token]
	if !ok || !s.set.Serves(i, r) {
		return nil
	}
	return s.endpoints[i]
}

// InSession counts a pick of the endpoint that ByToken returned.
func (c *Cluster) InSession() { c.counts.picked(balance.Session) }

// notePanic notes that endpoints that are not healthy are used, at most once a second.
func (c *Cluster) notePanic() {
	now, last := int64(c.shared.Now()), c.panicked.Load()
	if last != 0 && now-last < int64(time.Second) || !c.panicked.CompareAndSwap(last, now) {
		return
	}
	c.options.Note(events.PanicRouting, "", fmt.Sprintf("fewer than %g %% of the endpoints of cluster %s are healthy, so that all are used, those that are not well too", c.options.Balance.PanicThreshold, c.Name))
}

// nothing is why there is no endpoint to pick.
func (c *Cluster) nothing(s *state, how balance.Outcome) error {
	switch {
	case s.missing:
		return fault.New(c.options.Missing, fmt.Sprintf("cluster %s: %s", c.Name, s.why))
	case s.unknown:
		return fault.New(fault.Undiscovered, fmt.Sprintf("cluster %s %s", c.Name, s.why))
	case how&balance.SubsetFallback != 0:
		return fault.New(fault.NoHealthy, fmt.Sprintf("cluster %s has no endpoint in the subset that the route asks for", c.Name))
	}
	return fault.New(fault.NoHealthy, fmt.Sprintf("cluster %s %s", c.Name, s.why))
}

// Others reports whether another endpoint than those already tried may be picked.
func (c *Cluster) Others(r *balance.Request) bool {
	i, how := c.state.Load().set.Pick(r)
	return i >= 0 && how&balance.Repeated == 0
}

// rebuild makes a new state of what is known now. The caller holds the lock.
func (c *Cluster) rebuild() {
	now := c.shared.Now()
	c.outdated, c.warming = false, false
	hosts := make([]balance.Host, len(c.order))
	s := &state{endpoints: c.order, missing: c.source.missing, unknown: c.options.Source != nil && c.source.known.IsZero()}
	var unwell []string
	for i, e := range c.order {
		h, why := e.health()
		w, warming := e.weight(now, h)
		hosts[i] = balance.Host{
			Key: e.Address, Weight: w, Priority: e.given.Priority, Zone: e.given.Locality.Zone,
			Health: h, Metadata: e.given.Metadata, Load: e.Load,
		}
		c.warming = c.warming || warming
		if why != "" && len(unwell) < mostNamed {
			unwell = append(unwell, e.Address+" is "+brief(why))
		}
	}
	s.tokens = sync.OnceValue(func() map[uint64]int { // few clusters have sessions
		all := make(map[uint64]int, len(s.endpoints))
		for i, e := range s.endpoints {
			all[e.Token] = i
		}
		return all
	})
	s.why = c.whyNothing(unwell)
	s.set = c.state.Load().set.Next(hosts, rand.Uint64())
	c.state.Store(s)
}

// An error tells of so many endpoints, and of each in so many bytes: what a health
// check or a source says may be what somebody else made up.
const (
	mostNamed = 3
	mostSaid  = 200
)

// brief is what an error says of a reason.
func brief(why string) string {
	if len(why) <= mostSaid {
		return why
	}
	return strings.ToValidUTF8(why[:mostSaid], "") + "..."
}

// whyNothing says in words why no endpoint can be picked, should that be so.
func (c *Cluster) whyNothing(unwell []string) string {
	n := len(c.order)
	switch {
	case c.source.missing:
		why := "there is no such service in " + c.from()
		if c.source.nearest != "" {
			why += "; the nearest name is " + c.source.nearest
		}
		return why
	case n == 0 && c.source.err != nil:
		return "has no endpoint: " + brief(c.source.err.Error())
	case n == 0 && !c.answered:
		return "has no endpoint yet: " + c.from() + " has not answered"
	case n == 0:
		return "has no endpoint"
	}
	more := ""
	if n > len(unwell) {
		more = " ..."
	}
	return fmt.Sprintf("has no endpoint that may be used, of %d: %s%s", n, strings.Join(unwell, ", "), more)
}

func (c *Cluster) from() string {
	if c.options.From == "" {
		return "the configuration"
	}
	return c.options.From
}
