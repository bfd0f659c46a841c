package inject

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Options say what is injected.
type Options struct {
	// Delay is how long requests are held back; 0 is not at all.
	Delay time.Duration
	// DelayPercent is the share of the requests that are, in per cent.
	DelayPercent float64
	// Status is the HTTP status that requests are answered with; 0 is none.
	Status int
	// GRPC is the status for gRPC calls; 0 follows from Status.
	GRPC hop.GRPCStatus
	// AbortPercent is the share of the requests that are, in per cent.
	AbortPercent float64
	// Headers heeds Envoy's fields.
	Headers bool
}

// Envoy's fields.
const (
	prefix       = "x-envoy-fault-"
	delay        = prefix + "delay-request"
	delayPercent = prefix + "delay-request-percentage"
	abort        = prefix + "abort-request"
	abortGRPC    = prefix + "abort-grpc-request"
	abortPercent = prefix + "abort-request-percentage"
)

// New returns the filter.
func New(o Options) filter.Filter {
	return func(next filter.Handler) filter.Handler {
		return func(x *filter.Exchange) error {
			this := o
			if o.Headers {
				this.heed(&x.Request)
			}
			if this.Delay > 0 && chosen(x, this.DelayPercent) {
				x.Hop.Flags |= hop.DelayInjected // before: the client may leave meanwhile
				if err := x.Wait(this.Delay); err != nil {
					return err
				}
			}
			if this.Status > 0 && chosen(x, this.AbortPercent) {
				why := fmt.Sprintf("route %s injects a fault, as a test", x.Hop.Labels.Route)
				return &fault.Answer{Why: fault.New(fault.Injected, why), Status: this.Status, GRPC: this.GRPC}
			}
			return next(x)
		}
	}
}

// chosen decides about one request.
func chosen(x *filter.Exchange, percent float64) bool {
	const all = 1 << 53 // what a float64 counts exactly
	return percent > 0 && x.Random()%all < uint64(percent/100*all)
}

// heed puts what the request asks for in the place of what the route has, for no larger
// share of the requests. What is malformed is not heeded.
func (o *Options) heed(r *message.Head) {
	if ms, ok := number(r, delay, 0, 1<<31-1); ok {
		o.DelayPercent = percentage(r, delayPercent, o.Delay > 0, o.DelayPercent)
		o.Delay = time.Duration(ms) * time.Millisecond
	}
	status, http := number(r, abort, 200, 599)
	code, grpc := number(r, abortGRPC, 1, 16)
	if !http && !grpc {
		return
	}
	o.AbortPercent = percentage(r, abortPercent, o.Status > 0, o.AbortPercent)
	o.Status, o.GRPC = status, 0
	if grpc {
		o.GRPC = hop.GRPCStatusOf(code)
	}
	if !http {
		o.Status = fault.Injected.Status()
	}
}

// percentage is the share that the request asks for; all is the default. It is at most
// that of the route, where that is bounded.
func percentage(r *message.Head, name string, bounded bool, most float64) float64 {
	if !bounded {
		most = 100
	}
	if n, ok := number(r, name, 0, 100); ok {
		return min(most, float64(n))
	}
	return most
}

// number reads a field that holds a number within limits.
func number(r *message.Head, name string, least, most int) (int, bool) {
	value, ok := r.Lookup(name)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 31)
	return int(n), err == nil && int(n) >= least && int(n) <= most
}
