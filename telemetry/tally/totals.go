package tally

import (
	"math"
	"math/bits"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Edge is what totals are told apart by: the labels, but for the route, and the host that
// requests of a forward proxy asked for.
type Edge struct {
	Service           string
	Direction         hop.Direction
	Listener, Cluster string
	Host              string
}

// Total is what was counted of an edge since the start.
type Total struct {
	Edge
	// Requests are those that have ended, Failed and Slow some of them.
	Requests, Failed, Slow uint64
	// Durations counts the requests, but no tunnels, by how long they took: see [Bound].
	Durations [Buckets]uint64
}

// Buckets is how many ranges durations are counted in.
const Buckets = 40

// shortest is the bound of the first range.
const shortest = 100 * time.Microsecond

// Bound is the longest duration of range i: 0.1 ms for the first, and twice as much with
// every second one after it. The last has none.
func Bound(i int) time.Duration {
	if i >= Buckets-1 {
		return math.MaxInt64
	}
	return time.Duration(float64(shortest) * math.Exp2(float64(i)/2))
}

var bounds = func() (b [Buckets]time.Duration) {
	for i := range b {
		b[i] = Bound(i)
	}
	return b
}()

// totals has a total for each edge.
type totals struct {
	edges map[Edge]*Total
	// byLabels finds the same faster. Each reload brings new labels.
	byLabels map[*hop.Labels]*Total
}

const (
	maxEdges  = 1024
	maxLabels = 4096
)

func newTotals() totals { return totals{map[Edge]*Total{}, map[*hop.Labels]*Total{}} }

// of returns the total of hops with these labels. Beyond the most edges that there is room
// for, those of a service share one.
func (t *totals) of(l *hop.Labels, host string) *Total {
	if found := t.byLabels[l]; found != nil && host == "" {
		return found
	}
	e := Edge{l.Service, l.Direction, l.Listener, l.Cluster, host}
	if t.edges[e] == nil && len(t.edges) >= maxEdges {
		e.Listener, e.Cluster, e.Host = Other, Other, ""
	}
	found := t.edges[e]
	if found == nil {
		found = &Total{Edge: e}
		t.edges[e] = found
	}
	if host == "" {
		if len(t.byLabels) >= maxLabels {
			clear(t.byLabels)
		}
		t.byLabels[l] = found
	}
	return found
}

func (t *Total) add(h *hop.Hop, failed bool) {
	t.Requests++
	if failed {
		t.Failed++
	}
	if h.Slow() {
		t.Slow++
	}
	if h.Kind != hop.KindRequest {
		return
	}
	t.Durations[bucket(h.End)]++
}

// bucket is the range that a duration is in.
func bucket(d time.Duration) int {
	if d <= shortest {
		return 0
	}
	i := 2*bits.Len64(uint64((d-1)/shortest)) - 1 // the first of the two of this power of two
	if i >= Buckets-1 {
		return Buckets - 1
	}
	if d > bounds[i] {
		i++
	}
	return i
}

// Totals returns what was counted since the start.
func (t *Tally) Totals() []Total {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]Total, 0, len(t.totals.edges))
	for _, found := range t.totals.edges {
		all = append(all, *found)
	}
	return all
}
