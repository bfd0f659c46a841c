package admit_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/admission"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/admit"
	"github.com/hopscope/hopscope/proxy/filter/shed"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// TestJudge: what counts as a success, as a failure, and not at all.
func TestJudge(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		grpc   int // -1 is none
		err    error
		counts int
		fails  float64
	}{
		"200":                  {status: 200, grpc: -1, counts: 1},
		"404":                  {status: 404, grpc: -1, counts: 1},
		"500":                  {status: 500, grpc: -1, counts: 1, fails: 1},
		"a call, OK":           {status: 200, grpc: 0, counts: 1},
		"a call, NOT_FOUND":    {status: 200, grpc: 5, counts: 1},
		"a call, UNAVAILABLE":  {status: 200, grpc: 14, counts: 1, fails: 1},
		"connection refused":   {grpc: -1, err: fault.New(fault.ConnectRefused, ""), counts: 1, fails: 1},
		"broke off":            {status: 200, grpc: -1, err: fault.New(fault.UpstreamClosed, ""), counts: 1, fails: 1},
		"none healthy":         {grpc: -1, err: fault.New(fault.NoHealthy, ""), counts: 1, fails: 1},
		"injected":             {grpc: -1, err: &fault.Answer{Why: fault.New(fault.Injected, ""), Status: 418}, counts: 1},
		"an answer":            {grpc: -1, err: &fault.Answer{Status: 204}, counts: 1},
		"client went away":     {grpc: -1, err: fault.New(fault.ClientClosed, "")},
		"content is too large": {grpc: -1, err: fault.New(fault.ContentTooLarge, "")},
		"shed by max_requests": {grpc: -1, err: shed.Answer{Status: 503}.To(fault.RouteOverflow, "", false)},
		"shed by concurrency":  {grpc: -1, err: shed.Answer{Status: 503}.To(fault.ConcurrencyLimit, "", false)},
	} {
		t.Run(name, func(t *testing.T) {
			c := admission.New(admission.Options{Window: time.Hour, Threshold: 95, Aggression: 1})
			var refused atomic.Uint64
			x := &filter.Exchange{Hop: &hop.Hop{Labels: &hop.Labels{}, Start: time.Now()}}
			handle := filter.Chain(func(x *filter.Exchange) error {
				if x.Hop.Status = tt.status; tt.grpc >= 0 {
					x.Hop.GRPC, x.Hop.GRPCStatus = true, hop.GRPCStatusOf(tt.grpc)
				}
				return tt.err
			}, admit.New(c, &refused, admit.Options{Statuses: []admit.Range{{100, 499}}, Calls: []int{0, 5}}))
			_ = handle(x)
			share, of := c.Success(0)
			if of != tt.counts || 1-share != tt.fails {
				t.Errorf("%d counted, a share of %g failed; want %d, %g", of, 1-share, tt.counts, tt.fails)
			}
		})
	}
}
