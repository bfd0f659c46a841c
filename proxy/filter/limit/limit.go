package limit

import (
	"fmt"
	"sync/atomic"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/shed"
	"github.com/hopscope/hopscope/proxy/gate"
)

// Options say how many requests are let through.
type Options struct {
	// Max is how many may be under way.
	Max int
	// Shed is the answer to those that are not let through.
	Shed shed.Answer
}

// State is what a route counts. It is one for the route and the one that comes in its place
// by a reload, so that what is under way counts on.
type State struct {
	Gate gate.Gate
	// Refused is how many requests were shed.
	Refused atomic.Uint64
}

// New returns the filter of one route.
func New(s *State, o Options) filter.Filter {
	l := &limiter{Options: o, state: s}
	return func(next filter.Handler) filter.Handler {
		return func(x *filter.Exchange) error { return l.handle(x, next) }
	}
}

type limiter struct {
	Options
	state *State
}

func (l *limiter) handle(x *filter.Exchange, next filter.Handler) error {
	if _, in := l.state.Gate.Enter(l.Max, 0, gate.DefaultUrgency); !in {
		l.state.Refused.Add(1)
		why := fmt.Sprintf("route %s has %d requests under way, as many as it lets through; raise max_requests", x.Hop.Labels.Route, l.Max)
		return l.Shed.To(fault.RouteOverflow, why, x.Hop.GRPC)
	}
	defer l.state.Gate.Leave() // also where a filter panics
	return next(x)
}
