package limit

import (
	"cmp"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/concurrency"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/shed"
	"github.com/hopscope/hopscope/proxy/gate"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Options say how many requests are let through.
type Options struct {
	// Max is how many may be under way; 0 is no limit.
	Max int
	// Adaptive is a limit that follows how long requests take; nil is none.
	Adaptive *concurrency.Gradient
	// Shed is the answer to those that are not let through.
	Shed shed.Answer
}

// State is what a route counts. It is one for the route and the one that comes in its place
// by a reload, so that what is under way counts on.
type State struct {
	Gate gate.Gate
	// Full is how many requests were shed because of Max, and Slow because of Adaptive.
	Full, Slow atomic.Uint64
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
	began := x.Now()
	limit, adaptive := l.limit(began)
	if _, in := l.state.Gate.Enter(limit, 0, gate.DefaultUrgency); !in {
		return l.refuse(x, limit, adaptive)
	}
	defer l.state.Gate.Leave() // also where a filter panics
	err := next(x)
	if l.Adaptive != nil {
		l.sample(x, began, err)
	}
	return err
}

// limit is how many requests may be under way now, and whether that is the adaptive limit.
func (l *limiter) limit(now time.Duration) (n int, adaptive bool) {
	n = cmp.Or(l.Max, math.MaxInt)
	if l.Adaptive != nil {
		if a := l.Adaptive.Limit(now); a < n {
			return a, true
		}
	}
	return n, false
}

// refuse is the answer to a request that is not let in.
func (l *limiter) refuse(x *filter.Exchange, limit int, adaptive bool) error {
	kind, count, why := fault.RouteOverflow, &l.state.Full, "route %s has %d requests under way, as many as it lets through; raise max_requests"
	if adaptive {
		kind, count = fault.ConcurrencyLimit, &l.state.Slow
		why = "route %s has %d requests under way, as many as its service does well with by how long they take (adaptive_concurrency)"
	}
	count.Add(1)
	return l.Shed.To(kind, fmt.Sprintf(why, x.Hop.Labels.Route, limit), x.Hop.GRPC)
}

// sample tells the adaptive limit how long a request took until its response began. How
// long a client takes to read the response says nothing of the service, and neither does a
// failure, unless it is that the service was too slow.
func (l *limiter) sample(x *filter.Exchange, began time.Duration, err error) {
	h, now := x.Hop, x.Now()
	took := x.Began + h.FirstByte - began
	switch {
	case h.Kind == hop.KindTunnel:
		return
	case err != nil:
		if k := fault.Of(err).Kind; k != fault.UpstreamTimeout && k != fault.PerTryTimeout && k != fault.UpstreamIdle || h.FirstByte > 0 {
			return
		}
		took = now - began
	case h.FirstByte == 0:
		return
	}
	l.Adaptive.Sample(began, took, now)
	limit, _ := l.limit(now)
	l.state.Gate.Limit(limit)
}
