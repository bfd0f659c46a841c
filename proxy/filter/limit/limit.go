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
	"github.com/hopscope/hopscope/telemetry/active"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Options say how many requests are let through.
type Options struct {
	// Max is how many may be under way; 0 is no limit.
	Max int
	// Adaptive is a limit that follows how long requests take; nil is none.
	Adaptive *concurrency.Gradient
	// Room is how many may wait for their turn, each for MaxWait; 0 is none.
	Room    int
	MaxWait time.Duration
	// PriorityField is the field of requests that says how urgent they are; "" is none.
	PriorityField string
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
	waiter, in := l.state.Gate.Enter(limit, l.Room, l.urgency(&x.Request))
	if waiter != nil {
		var err error
		if in, err = l.wait(x, waiter); err != nil {
			return err
		}
		began = x.Now()
	}
	if !in {
		return l.refuse(x, limit, adaptive)
	}
	defer l.state.Gate.Leave() // also where a filter panics
	err := next(x)
	if l.Adaptive != nil {
		l.sample(x, began, err)
	}
	return err
}

// wait waits for the turn of a request. in is false if it did not come. The error says why
// the request is not worth waiting for.
func (l *limiter) wait(x *filter.Exchange, w *gate.Waiter) (in bool, err error) {
	began := x.Now()
	settled := false
	defer func() {
		if !settled && l.state.Gate.Settle(w) { // a panic, or nobody wants it any more
			l.state.Gate.Leave()
		}
	}()
	x.Active.Wait(active.Queue, now(x))
	err = x.WaitFor(l.MaxWait, w.Ready())
	x.Hop.Queued = x.Now() - began
	if err != nil {
		return false, err
	}
	x.Active.Wait(active.Route, now(x))
	settled = true
	return l.state.Gate.Settle(w), nil
}

func now(x *filter.Exchange) time.Duration { return x.Now() - x.Began }

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
	if waited := x.Hop.Queued; waited > 0 {
		return l.Shed.To(kind, fmt.Sprintf(why+"; it waited for %s in the queue", x.Hop.Labels.Route, limit, waited.Round(time.Millisecond)), x.Hop.GRPC)
	}
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
