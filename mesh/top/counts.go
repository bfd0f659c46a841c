package top

import (
	"errors"
	"fmt"
	"time"

	"github.com/hopscope/hopscope/mesh/why"
	"github.com/hopscope/hopscope/telemetry/tally"
)

// maxEdges is how many edges one proxy may have.
const maxEdges = 2000

// Counts are what one proxy has counted since it started.
type Counts struct {
	Service string `json:"service"`
	// Started is when the proxy began to count, and At when this was.
	Started time.Time `json:"started"`
	At      time.Time `json:"at"`
	// Listens are the addresses at which the proxy takes requests for the service.
	Listens []string `json:"listens"`
	Edges   []Edge   `json:"edges"`
	// LostContext is how many calls, at least, began a trace of their own while the service
	// answered a request.
	LostContext uint64 `json:"lost_context_calls"`
}

// Edge is what was counted of the requests to the service, or of its calls of another.
type Edge struct {
	Direction string `json:"direction"`
	// Callee is the service that was called; empty for the service itself.
	Callee   string `json:"callee"`
	Requests uint64 `json:"requests"`
	Failed   uint64 `json:"failed"`
	Slow     uint64 `json:"slow"`
	// Durations are how many requests took how long, by the ranges of [tally.Bound], without
	// zeros at the end.
	Durations []uint64 `json:"durations"`
}

// Check makes sure that counts of another proxy harm nobody.
func (c *Counts) Check() error {
	c.Service = why.Clean(c.Service)
	if c.Service == "" || c.At.Before(c.Started) || c.At.Year() > 2200 || c.Started.Year() < 1970 || len(c.Edges) > maxEdges || len(c.Listens) > maxEdges {
		return errors.New("counts that make no sense")
	}
	for i := range c.Listens {
		c.Listens[i] = why.Clean(c.Listens[i])
	}
	const most = 1e15
	for i := range c.Edges {
		e := &c.Edges[i]
		e.Direction, e.Callee = why.Clean(e.Direction), why.Clean(e.Callee)
		if e.Failed > e.Requests || e.Slow > e.Requests || e.Requests > most || len(e.Durations) > tally.Buckets {
			return fmt.Errorf("impossible counts: %d of %d requests failed", e.Failed, e.Requests)
		}
		for _, n := range e.Durations {
			if n > most {
				return errors.New("impossible counts of durations")
			}
		}
	}
	return nil
}

// Add adds a total to the edge with the same direction and callee.
func (c *Counts) Add(callee string, t *tally.Total) {
	direction := t.Direction.String()
	var e *Edge
	for i := range c.Edges {
		if c.Edges[i].Direction == direction && c.Edges[i].Callee == callee {
			e = &c.Edges[i]
		}
	}
	if e == nil {
		if len(c.Edges) >= maxEdges {
			return
		}
		c.Edges = append(c.Edges, Edge{Direction: direction, Callee: callee})
		e = &c.Edges[len(c.Edges)-1]
	}
	e.Requests += t.Requests
	e.Failed += t.Failed
	e.Slow += t.Slow
	for i, n := range t.Durations {
		if n == 0 {
			continue
		}
		for len(e.Durations) <= i {
			e.Durations = append(e.Durations, 0)
		}
		e.Durations[i] += n
	}
}
