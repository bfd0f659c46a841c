package metrics

import (
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// RouteCount is what was counted of the requests of a route with one method since the start.
type RouteCount struct {
	Service   string
	Direction hop.Direction
	// Route is the learned one, if there is one; Configured is that of the configuration. Both
	// are "" for a route without a name.
	Route, Configured, Cluster string
	Method                     string
	// Requests are those that have ended, Failed those of them that ended in an error: as
	// [hop.Hop.Failed], but that the client's part in it is not known.
	Requests, Failed uint64
	// Durations counts the requests, but no tunnels, by how long they took: see
	// [DurationBounds].
	Durations []uint64
}

// DurationBounds are the upper bounds of the ranges that durations are counted in. One more
// range has none.
func DurationBounds() []time.Duration {
	all := make([]time.Duration, len(bounds))
	for i, b := range bounds {
		all[i] = time.Duration(b * float64(time.Second))
	}
	return all
}

// Routes returns what was counted since the start, by route and method. The routes of a
// configuration that is gone are not among them.
func (m *Metrics) Routes() []RouteCount {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []RouteCount
	for _, s := range m.series {
		all = s.counts(s.route, all)
	}
	return all
}

func (s *series) counts(configured string, all []RouteCount) []RouteCount {
	first := len(all)
	of := func(method string) *RouteCount {
		i := slices.IndexFunc(all[first:], func(c RouteCount) bool { return c.Method == method })
		if i < 0 {
			i = len(all) - first
			all = append(all, RouteCount{
				Service: s.service, Direction: s.direction, Route: s.route, Configured: configured, Cluster: s.cluster, Method: method, Durations: make([]uint64, len(bounds)+1),
			})
		}
		return &all[first+i]
	}
	for i := range s.hops {
		cell := &s.hops[i]
		c := of(cell.method)
		c.Requests += cell.requests.n
		if cell.status >= 500 || cell.grpc.ServerError() || cell.flag&hop.Failures != 0 {
			c.Failed += cell.requests.n
		}
		c.add(cell.duration)
	}
	for _, method := range s.methods {
		for i := range method.cells {
			of("POST").add(method.cells[i].duration) // gRPC has no other
		}
	}
	for _, learned := range s.learned {
		all = learned.counts(configured, all)
	}
	return all
}

func (c *RouteCount) add(h *histogram) {
	if h == nil {
		return
	}
	for i, n := range h.counts {
		c.Durations[i] += n
	}
}

// BlameCount is how many failed requests that entered the mesh here somebody was at fault
// for, since the start.
type BlameCount struct {
	// Hop is the service at fault, and Caller who met it there; empty if it is within Hop.
	Hop, Caller string
	Failures    uint64
}

// Blamed returns who was at fault since the start.
func (m *Metrics) Blamed() []BlameCount {
	m.mu.Lock()
	defer m.mu.Unlock()
	sums := map[[2]string]uint64{}
	for key, c := range m.ledger.counters {
		sums[[2]string{key.hop, key.caller}] += c.n
	}
	var all []BlameCount
	for key, n := range sums {
		all = append(all, BlameCount{key[0], key[1], n})
	}
	slices.SortFunc(all, func(a, b BlameCount) int { return strings.Compare(a.Hop+"\x00"+a.Caller, b.Hop+"\x00"+b.Caller) })
	return all
}
