package consul

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

// catalogState is what a watch of the catalog knows, and what it has yet to ask for. It
// asks nothing itself.
type catalogState struct {
	grace    time.Duration
	seed     maphash.Seed
	services map[string]*service
	nodes    map[string]uint64 // the checks of each node, as one number
	listing  bool              // whether the names of all services have been told
	checking bool              // whether the state of all checks has been told

	urgent map[string]bool // services to ask for now: something of theirs changed
	queue  []string        // services to ask for in time: something may have changed
	failed map[string]bool // services to ask for again, later

	namesErr, statesErr error
}

// service is what is known of one service.
type service struct {
	listed    bool // whether the catalog has its name
	answered  bool
	instances []Instance
	tags      []string
	checks    uint64 // as one number
	index     uint64 // of the last answer
	grace     grace
	doubted   bool // its instances are no longer in Consul, which is not believed
	err       error
}

func newCatalogState(grace time.Duration) *catalogState {
	return &catalogState{
		grace: grace, seed: maphash.MakeSeed(),
		services: map[string]*service{}, nodes: map[string]uint64{},
		urgent: map[string]bool{}, failed: map[string]bool{},
	}
}

// recall notes what was known before Consul was asked.
func (c *catalogState) recall(known map[string][]Instance) {
	for name, instances := range known {
		c.services[name] = &service{grace: grace{period: c.grace}, answered: true, instances: instances}
	}
}

// names takes in the names of all services, each with its tags. Consul does not say what
// changed. A service that looks the same may have changed too, so every service is queued.
func (c *catalogState) names(now time.Time, r reply[map[string][]string]) {
	if c.namesErr = r.err; r.err != nil {
		return
	}
	c.listing = true
	c.doubtAll(now, r.forgotten)
	for name, tags := range r.value {
		s := c.services[name]
		if s == nil {
			s = &service{grace: grace{period: c.grace}}
			c.services[name] = s
		}
		slices.Sort(tags)
		if !s.listed || !slices.Equal(s.tags, tags) {
			c.urgent[name] = true
		}
		s.listed, s.tags = true, tags
	}
	for name, s := range c.services {
		if _, ok := r.value[name]; !ok {
			s.listed = false
			c.judge(now, name, s)
		}
	}
	c.queueAll()
}

// queueAll queues every service once, those without checks of their own first: a change of
// theirs shows in no check's state.
func (c *catalogState) queueAll() {
	queued := make(map[string]bool, len(c.queue))
	for _, name := range c.queue {
		queued[name] = true
	}
	fresh := make([]string, 0, len(c.services))
	for name := range c.services {
		if !queued[name] && !c.urgent[name] {
			fresh = append(fresh, name)
		}
	}
	slices.SortFunc(fresh, func(a, b string) int {
		if unchecked := c.services[a].checks == 0; unchecked != (c.services[b].checks == 0) {
			if unchecked {
				return -1
			}
			return 1
		}
		return cmp.Compare(a, b)
	})
	c.queue = append(c.queue, fresh...)
}

// states takes in the state of all checks: those of services, and those of nodes, which
// count for every service on the node.
func (c *catalogState) states(now time.Time, r reply[api.HealthChecks]) {
	if c.statesErr = r.err; r.err != nil {
		return
	}
	c.checking = true
	c.doubtAll(now, r.forgotten)
	ofServices, ofNodes := map[string]uint64{}, map[string]uint64{}
	for _, check := range checks(r.value) {
		// A sum does not depend on the order of its terms.
		term := maphash.Comparable(c.seed, [4]string{check.Node, check.CheckID, check.ServiceID, check.Status}) ^
			maphash.Comparable(c.seed, check.ModifyIndex)
		if check.ServiceName == "" {
			ofNodes[check.Node] += term
		} else {
			ofServices[check.ServiceName] += term
		}
	}
	for name, s := range c.services {
		if s.checks != ofServices[name] || c.moved(s, ofNodes) {
			c.urgent[name] = true
		}
		s.checks = ofServices[name]
	}
	c.nodes = ofNodes
}

// moved reports whether a check changed of a node that the service runs on.
func (c *catalogState) moved(s *service, ofNodes map[string]uint64) bool {
	return slices.ContainsFunc(s.instances, func(i Instance) bool {
		node := i.Metadata[MetadataNode]
		return c.nodes[node] != ofNodes[node]
	})
}

// doubtAll begins the grace period of every service, and asks for all of them again, if the
// answer comes from a Consul that has forgotten something. It is called before that answer
// is taken in.
func (c *catalogState) doubtAll(now time.Time, forgotten bool) {
	if !forgotten {
		return
	}
	for name, s := range c.services {
		s.grace.gone(now, true)
		c.urgent[name] = true
	}
}

// next returns the services to ask for: all urgent ones, or a few of those that are queued.
func (c *catalogState) next(few int) []string {
	var names []string
	for name := range c.urgent {
		if s := c.services[name]; s != nil && s.listed {
			names = append(names, name)
		}
	}
	clear(c.urgent)
	if len(names) > 0 {
		slices.Sort(names)
		return names
	}
	for len(c.queue) > 0 && len(names) < few {
		if s := c.services[c.queue[0]]; s != nil && s.listed {
			names = append(names, c.queue[0])
		}
		c.queue = c.queue[1:]
	}
	return names
}

// took takes in what Consul said of one service.
func (c *catalogState) took(now time.Time, name string, instances []Instance, index uint64, err error) {
	s := c.services[name]
	if s == nil {
		return
	}
	if s.err = err; err != nil {
		c.failed[name] = true
		return
	}
	forgotten := index < s.index
	s.answered, s.index = true, index
	if len(instances) > 0 || len(s.instances) == 0 {
		s.grace.seen()
		presume(s.instances, instances)
		s.instances, s.doubted = instances, false
		return
	}
	if forgotten {
		s.grace.gone(now, true)
	}
	c.judge(now, name, s)
}

// judge decides what to make of a service that, as Consul says, has no instance or does not
// exist.
func (c *catalogState) judge(now time.Time, name string, s *service) {
	believed, _ := s.grace.gone(now, false)
	s.doubted = !believed && len(s.instances) > 0
	switch {
	case s.doubted:
	case s.listed:
		s.instances = nil
	default:
		delete(c.services, name)
	}
}

// retry makes urgent what failed.
func (c *catalogState) retry() {
	maps.Copy(c.urgent, c.failed)
	clear(c.failed)
}

// expire ends the doubt about services whose grace period is over. It returns when the next
// one ends, zero for never.
func (c *catalogState) expire(now time.Time) (next time.Time) {
	for name, s := range c.services {
		if !s.doubted {
			continue
		}
		c.judge(now, name, s)
		if s.doubted && (next.IsZero() || s.grace.until.Before(next)) {
			next = s.grace.until
		}
	}
	return next
}

// update returns what is known now. It is false until there is something to say.
func (c *catalogState) update() (CatalogUpdate, bool) {
	failed := []error{c.namesErr}
	if text(c.statesErr) != text(c.namesErr) {
		failed = append(failed, c.statesErr)
	}
	var services map[string][]Instance
	var doubted []string
	var broken []string
	for name, s := range c.services {
		if s.answered {
			if services == nil {
				services = make(map[string][]Instance, len(c.services))
			}
			services[name] = s.instances
		}
		if s.err != nil {
			broken = append(broken, name)
		}
		if s.doubted {
			doubted = append(doubted, name)
		}
	}
	if len(broken) > 0 {
		slices.Sort(broken)
		failed = append(failed, fmt.Errorf("%d services could not be asked for, such as %s: %w", len(broken), broken[0], c.services[broken[0]].err))
	}
	if len(doubted) > 0 {
		failed = append(failed, fmt.Errorf("consul came back without %s: keeping what was known for up to %s", few(doubted), c.grace))
	}
	u := CatalogUpdate{Services: services, Err: errors.Join(failed...)}
	return u, u.Err != nil || c.listing && c.checking
}

// few names some of the services, in a stable order.
func few(names []string) string {
	slices.Sort(names)
	if len(names) > 3 {
		return fmt.Sprintf("%s and %d more services", strings.Join(names[:3], ", "), len(names)-3)
	}
	return strings.Join(names, ", ")
}

func sameCatalog(a, b CatalogUpdate) bool {
	return text(a.Err) == text(b.Err) && reflect.DeepEqual(a.Services, b.Services)
}
