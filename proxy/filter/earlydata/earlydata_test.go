package earlydata_test

import (
	"errors"
	"testing"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/earlydata"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// TestEarlyData: which requests are too early, by their method and by what Early-Data says.
func TestEarlyData(t *testing.T) {
	for _, method := range []message.Method{
		message.GET, message.HEAD, message.OPTIONS, message.TRACE, message.POST, message.PUT, message.PATCH, message.DELETE, message.CONNECT, message.MethodOther,
	} {
		isSafe := method == message.GET || method == message.HEAD || method == message.OPTIONS || method == message.TRACE
		for name, tt := range map[string]struct {
			values  []string
			removed bool
			early   bool
		}{
			"no field":     {},
			"removed":      {values: []string{"1"}, removed: true},
			"1":            {values: []string{"1"}, early: true},
			"twice":        {values: []string{"1", "1"}, early: true},
			"of several":   {values: []string{"1, 1"}, early: true},
			"0":            {values: []string{"0"}, early: true}, // what is malformed counts as 1
			"of no value":  {values: []string{""}, early: true},
			"of any value": {values: []string{"?1;a=b"}, early: true},
		} {
			for _, safe := range []bool{true, false} {
				x := &filter.Exchange{Hop: new(hop.Hop)}
				x.Request.Begin(nil)
				x.Request.Method = method
				for i, value := range tt.values {
					x.Request.Add(message.Unknown, []string{"Early-Data", "early-data"}[i%2], value)
				}
				if tt.removed {
					x.Request.RemoveName([]byte("early-data"))
				}
				passed := false
				err := filter.Chain(func(*filter.Exchange) error { passed = true; return nil }, earlydata.New(safe))(x)
				refused := tt.early && !(safe && isSafe)
				if passed == refused || (err == nil) == refused {
					t.Errorf("%s of method %d, where safe ones pass: %t: passed on: %t, %v", name, method, safe, passed, err)
				}
				if err == nil {
					continue
				}
				a, ok := errors.AsType[*fault.Answer](err)
				if !ok || a.Status != 425 || a.GRPC != hop.GRPCStatusOf(14) || a.Details != "too_early" || a.Body != nil {
					t.Errorf("%s: %+v", name, err)
				}
			}
		}
	}
}
