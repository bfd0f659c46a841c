package admit

import (
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/hopscope/hopscope/proxy/admission"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/shed"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Options say what a success is, and what is answered to requests that are refused.
type Options struct {
	// Statuses are the HTTP statuses of a success, and Calls the gRPC statuses.
	Statuses []Range
	Calls    []int
	Shed     shed.Answer
}

// Range is a range of statuses, both ends included.
type Range struct{ First, Last int }

// New returns the filter. refused counts what it refuses.
func New(c *admission.Control, refused *atomic.Uint64, o Options) filter.Filter {
	return func(next filter.Handler) filter.Handler {
		return func(x *filter.Exchange) error {
			now := x.Now()
			if !c.Admit(now, x.Random()) {
				refused.Add(1)
				share, of := c.Success(now)
				why := fmt.Sprintf("of the last %d requests of route %s %.1f %% went well, so a part of them is not sent on (admission_control)", of, x.Hop.Labels.Route, 100*share)
				return o.Shed.To(fault.AdmissionDenied, why, x.Hop.GRPC)
			}
			err := next(x)
			if success, counts := o.judge(x.Hop, err); counts {
				c.Record(x.Now(), success)
			}
			return err
		}
	}
}

// judge says whether a request that is over went well. counts is false where that says
// nothing of the service: a limit of the route did not let it through, or the client went
// away or made a mistake.
func (o *Options) judge(h *hop.Hop, err error) (success, counts bool) {
	if err != nil {
		a := fault.AnswerTo(err)
		switch {
		case a.Why == nil:
			return o.succeeds(a.HTTPStatus()), true
		case a.Why.Kind.Side() == fault.Downstream, a.Why.Kind == fault.RouteOverflow, a.Why.Kind == fault.ConcurrencyLimit:
			return false, false
		case a.Why.Kind.Side() == fault.Upstream:
			return false, true
		}
		return o.succeeds(a.HTTPStatus()), true
	}
	if h.GRPC && h.GRPCStatus != 0 {
		return slices.Contains(o.Calls, h.GRPCStatus.Code()), true
	}
	return o.succeeds(h.Status), true
}

func (o *Options) succeeds(status int) bool {
	return slices.ContainsFunc(o.Statuses, func(r Range) bool { return r.First <= status && status <= r.Last })
}
