package inject

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/route"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Options say what is injected.
type Options struct {
	// Delay is how long requests are held back; 0 is not at all.
	Delay time.Duration
	// DelayShare is the share of the requests that are.
	DelayShare route.Share
	// Status is the HTTP status that requests are answered with; 0 is none.
	Status int
	// GRPC is the status for gRPC calls; 0 follows from Status.
	GRPC hop.GRPCStatus
	// AbortShare is the share of the requests that are.
	AbortShare route.Share
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
			if this.Delay > 0 && this.DelayShare.Has(x.Random()) {
				x.Hop.Flags |= hop.DelayInjected // before: the client may leave meanwhile
				note(x.Hop, "delay "+this.Delay.String())
				if err := x.Wait(this.Delay); err != nil {
					return err
				}
			}
			if this.Status > 0 && this.AbortShare.Has(x.Random()) {
				note(x.Hop, this.abort(x.Hop.GRPC))
				why := fmt.Sprintf("route %s injects a fault, as a test", x.Hop.Labels.Route)
				return &fault.Answer{Why: fault.New(fault.Injected, why), Status: this.Status, GRPC: this.GRPC}
			}
			return next(x)
		}
	}
}

// note records a fault in the Hop, beside those that are there.
func note(h *hop.Hop, fault string) {
	if h.Injected.Len() > 0 {
		fault = h.String(h.Injected) + ", " + fault
	}
	h.SetString(&h.Injected, fault)
}

// abort is the failure in words, such as "abort 503".
func (o *Options) abort(call bool) string {
	if call && o.GRPC != 0 {
		return "abort " + o.GRPC.String()
	}
	return "abort " + strconv.Itoa(o.Status)
}

// heed puts what the request asks for in the place of what the route has, for no larger
// share of the requests. What is malformed is not heeded.
func (o *Options) heed(r *message.Head) {
	if ms, ok := number(r, delay, 0, 1<<31-1); ok {
		o.DelayShare = share(r, delayPercent, o.Delay > 0, o.DelayShare)
		o.Delay = time.Duration(ms) * time.Millisecond
	}
	status, http := number(r, abort, 200, 599)
	code, grpc := number(r, abortGRPC, 1, 16)
	if !http && !grpc {
		return
	}
	o.AbortShare = share(r, abortPercent, o.Status > 0, o.AbortShare)
	o.Status, o.GRPC = status, 0
	if grpc {
		o.GRPC = hop.GRPCStatusOf(code)
	}
	if !http {
		o.Status = fault.Injected.Status()
	}
}

// share is what the request asks for in per cent; all is the default. It is at most that of
// the route, where that is bounded.
func share(r *message.Head, name string, bounded bool, most route.Share) route.Share {
	if !bounded {
		most = route.Shares
	}
	if n, ok := number(r, name, 0, 100); ok {
		return min(most, *route.Percent(float64(n)))
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
