package series

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hopscope/hopscope/mesh/why"
)

// The limits on what one proxy may tell.
const (
	maxLines  = 2000
	maxRanges = 64
)

// Part is what one proxy has counted in some windows.
type Part struct {
	Service string `json:"service"`
	// Started is when the proxy began to count; Until is when the last window ended.
	Started time.Time `json:"started"`
	Until   time.Time `json:"until"`
	// Windows is how many there are, the oldest first.
	Windows int `json:"windows"`
	// Listens are the addresses at which the proxy takes requests for the service.
	Listens []string `json:"listens"`
	// EdgeBounds and RouteBounds are the upper bounds of the ranges that durations are
	// counted in; one more range has none.
	EdgeBounds  []time.Duration `json:"edge_bounds_ns"`
	RouteBounds []time.Duration `json:"route_bounds_ns"`
	// Edges are the requests to the service and its calls, Routes the requests to it by route.
	Edges  []Line `json:"edges"`
	Routes []Line `json:"routes"`
	// Endpoints are the requests by the endpoint that they went to. Their slow ones and their
	// durations are not known.
	Endpoints []Line `json:"endpoints"`
	// Blamed are the failed requests that entered the mesh here, by who is at fault.
	Blamed []Line `json:"blamed"`
	// Full is true if there was no room for some of it.
	Full bool `json:"full"`
}

// Line has a number for each window.
type Line struct {
	// Direction is that of an edge: "inbound" or "outbound". Callee is the service that was
	// called, or that is at fault; empty for the proxy's own. Caller is who met the fault.
	Direction string `json:"direction,omitempty"`
	Callee    string `json:"callee,omitempty"`
	Caller    string `json:"caller,omitempty"`
	Method    string `json:"method,omitempty"`
	Route     string `json:"route,omitempty"`
	Cluster   string `json:"cluster,omitempty"`
	Endpoint  string `json:"endpoint,omitempty"`

	Requests []uint32 `json:"requests"`
	Failed   []uint32 `json:"failed"`
	Slow     []uint32 `json:"slow,omitempty"`
	// Durations are how many requests took how long, by ranges, without zeros at the end.
	Durations [][]uint32 `json:"durations,omitempty"`
}

// Parse reads a part of another proxy, and makes sure that it harms nobody: its lists have
// an end, its texts can be shown, its numbers are possible.
func Parse(text []byte) (*Part, error) {
	p := new(Part)
	if err := json.Unmarshal(text, p); err != nil {
		return nil, errors.New("its answer is no history: " + why.Clean(err.Error()))
	}
	return p, p.check()
}

func (p *Part) check() error {
	p.Service = why.Clean(p.Service)
	switch {
	case p.Service == "":
		return errors.New("a history without a service")
	case p.Until.Year() < 1970 || p.Until.Year() > 2200 || p.Started.Year() < 1970 || p.Started.Year() > 2200 || p.Windows < 0 || p.Windows > Windows:
		return errors.New("a history of an impossible time")
	case len(p.Listens) > maxLines:
		return errors.New("a history with too many addresses")
	}
	p.Until = p.Until.Truncate(Window)
	for i := range p.Listens {
		p.Listens[i] = why.Clean(p.Listens[i])
	}
	for _, bounds := range [][]time.Duration{p.EdgeBounds, p.RouteBounds} {
		if len(bounds) >= maxRanges {
			return errors.New("a history with too many ranges")
		}
		for i, b := range bounds {
			if b <= 0 || i > 0 && b <= bounds[i-1] {
				return errors.New("a history with impossible ranges")
			}
		}
	}
	for _, lines := range [][]Line{p.Edges, p.Routes, p.Endpoints, p.Blamed} {
		if len(lines) > maxLines {
			return errors.New("a history that is too long")
		}
		for i := range lines {
			if err := lines[i].check(p.Windows); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Line) check(windows int) error {
	for _, text := range []*string{&l.Direction, &l.Callee, &l.Caller, &l.Method, &l.Route, &l.Cluster, &l.Endpoint} {
		*text = why.Clean(*text)
	}
	for _, all := range []int{len(l.Requests), len(l.Failed), len(l.Slow), len(l.Durations)} {
		if all != 0 && all != windows {
			return fmt.Errorf("a history with %d numbers for %d windows", all, windows)
		}
	}
	for _, d := range l.Durations {
		if len(d) > maxRanges {
			return errors.New("a history with too many ranges")
		}
	}
	return nil
}
