package static

import (
	"context"
	"fmt"

	"github.com/hopscope/hopscope/discovery"
)

// Options are a Source's settings.
type Options struct {
	// Endpoints are delivered in this order. None is a cluster without
	// endpoints.
	Endpoints []discovery.Endpoint
}

// Source is a [discovery.Source] whose answer never changes.
type Source struct{ endpoints []discovery.Endpoint }

// New checks the endpoints: that each has an address of its own and a weight.
func New(o Options) (*Source, error) {
	s := &Source{endpoints: make([]discovery.Endpoint, len(o.Endpoints))}
	first := make(map[string]int, len(o.Endpoints))
	for i, e := range o.Endpoints {
		address, err := discovery.ParseAddress(e.Address)
		if err != nil {
			return nil, fmt.Errorf("endpoints[%d].address: %w", i, err)
		}
		if at, ok := first[address]; ok {
			return nil, fmt.Errorf("endpoints[%d].address: %s is endpoints[%d] already; to send it more requests, give that one a greater weight", i, address, at)
		}
		first[address] = i
		switch {
		case e.Weight < 1:
			return nil, fmt.Errorf("endpoints[%d].weight: a weight is at least 1, found %d", i, e.Weight)
		case e.Priority < 0:
			return nil, fmt.Errorf("endpoints[%d].priority: a priority is at least 0, found %d", i, e.Priority)
		case e.Health > discovery.Draining:
			return nil, fmt.Errorf("endpoints[%d].health: there is no state of health %d", i, e.Health)
		}
		e.Address = address
		s.endpoints[i] = e
	}
	return s, nil
}

// Run delivers the endpoints and waits for ctx.
func (s *Source) Run(ctx context.Context, deliver func(discovery.Update)) {
	deliver(discovery.Update{Endpoints: s.endpoints})
	<-ctx.Done()
}
