package top

import (
	"cmp"
	"slices"
	"time"

	"github.com/hopscope/hopscope/telemetry/tally"
)

// Table is what goes on in a mesh, over some time. Its JSON is documented in docs/mesh.md.
type Table struct {
	// Interval is the time over which it is.
	Interval time.Duration `json:"interval_ns"`
	// Services are the requests to each service, Edges the calls between services; both by
	// how many fail, and then by how many there are.
	Services []Row `json:"services"`
	Edges    []Row `json:"edges"`
	// Lost are the services that pass no trace context on.
	Lost []Lost `json:"lost_context"`
}

// Row is a service, or an edge.
type Row struct {
	// Service is the service, or the callee of an edge, whose Caller calls it.
	Service string `json:"service"`
	Caller  string `json:"caller"`
	// Rate is how many requests ended a second, Failing how many of these failed.
	Rate    float64 `json:"requests_per_second"`
	Failing float64 `json:"failed_per_second"`
	Slow    float64 `json:"slow_per_second"`
	// Half of the requests took at most P50, and 99 of 100 at most P99; 0 if there were none.
	P50 time.Duration `json:"p50_ns"`
	P99 time.Duration `json:"p99_ns"`
}

// Name is the service, or the edge: "payments -> bank".
func (r *Row) Name() string {
	if r.Caller == "" {
		return r.Service
	}
	return r.Caller + " -> " + r.Service
}

// Lost is a service that passes no trace context on.
type Lost struct {
	Service string `json:"service"`
	// Calls is how many calls, at least, began a trace of their own while the service
	// answered a request, since its proxies started.
	Calls uint64 `json:"calls"`
}

// sum is what was counted for a row.
type sum struct {
	requests, failed, slow float64
	durations              [tally.Buckets]float64
}

// Rates makes a table of two states of the proxies, some time apart. Both are by the proxy,
// under any name that stays the same. A proxy that was not there before counts from its
// start, if it started in between.
func Rates(before, after map[string]*Counts) *Table {
	t := &Table{Services: []Row{}, Edges: []Row{}, Lost: []Lost{}}
	names := map[string]string{}
	lost := map[string]uint64{}
	for _, c := range after {
		for _, a := range c.Listens {
			names[a] = c.Service
		}
		if c.LostContext > 0 {
			lost[c.Service] += c.LostContext
		}
	}
	sums := map[[2]string]*sum{}
	for key, c := range after {
		old := before[key]
		var took time.Duration
		switch {
		case old != nil && old.Started.Equal(c.Started):
			took = c.At.Sub(old.At)
		case old == nil && len(before) > 0:
			continue // it is not known what of it is new
		default:
			old, took = nil, c.At.Sub(c.Started)
		}
		if took <= 0 {
			continue
		}
		t.Interval = max(t.Interval, took)
		for i := range c.Edges {
			e := &c.Edges[i]
			row := [2]string{c.Service, ""}
			if e.Callee != "" {
				callee := cmp.Or(names[e.Callee], e.Callee)
				row = [2]string{callee, c.Service}
				if e.Direction == "inbound" { // a gateway's requests are both
					at(sums, [2]string{c.Service, ""}).add(e, old.edge(e), took)
				}
			}
			at(sums, row).add(e, old.edge(e), took)
		}
	}
	for key, s := range sums {
		r := Row{Service: key[0], Caller: key[1], Rate: s.requests, Failing: s.failed, Slow: s.slow, P50: s.quantile(0.5), P99: s.quantile(0.99)}
		if r.Caller == "" {
			t.Services = append(t.Services, r)
		} else {
			t.Edges = append(t.Edges, r)
		}
	}
	for service, n := range lost {
		t.Lost = append(t.Lost, Lost{service, n})
	}
	slices.SortFunc(t.Services, compare)
	slices.SortFunc(t.Edges, compare)
	slices.SortFunc(t.Lost, func(a, b Lost) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Service, b.Service))
	})
	return t
}

func compare(a, b Row) int {
	return cmp.Or(cmp.Compare(b.Failing, a.Failing), cmp.Compare(b.Rate, a.Rate), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Caller, b.Caller))
}

func at(sums map[[2]string]*sum, key [2]string) *sum {
	if sums[key] == nil {
		sums[key] = &sum{}
	}
	return sums[key]
}

// edge finds the edge by its name. If it is not there, the edge is empty.
func (c *Counts) edge(like *Edge) *Edge {
	if c != nil {
		for i := range c.Edges {
			if e := &c.Edges[i]; e.Direction == like.Direction && e.Callee == like.Callee {
				return e
			}
		}
	}
	return &Edge{}
}

// add adds what was counted between two states, a second.
func (s *sum) add(now, before *Edge, took time.Duration) {
	seconds := took.Seconds()
	more := func(now, before uint64) float64 { return float64(now-min(before, now)) / seconds }
	s.requests += more(now.Requests, before.Requests)
	s.failed += more(now.Failed, before.Failed)
	s.slow += more(now.Slow, before.Slow)
	for i, n := range now.Durations {
		old := uint64(0)
		if i < len(before.Durations) {
			old = before.Durations[i]
		}
		s.durations[i] += more(n, old)
	}
}

// quantile is the duration that a share of the requests did not exceed. Within a range of
// durations they are taken to be spread evenly.
func (s *sum) quantile(share float64) time.Duration {
	total := 0.0
	for _, n := range s.durations {
		total += n
	}
	if total == 0 {
		return 0
	}
	left := share * total
	for i, n := range s.durations {
		if left > n || n == 0 {
			left -= n
			continue
		}
		low, high := time.Duration(0), tally.Bound(i)
		if i > 0 {
			low = tally.Bound(i - 1)
		}
		if i == tally.Buckets-1 {
			return low
		}
		return low + time.Duration(left/n*float64(high-low))
	}
	return tally.Bound(tally.Buckets - 2)
}
