package inject_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/inject"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/route"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// client is a client that goes away at some time, zero for never.
type client struct {
	filter.Conn
	leaves time.Time
}

func (c *client) Gone() func() bool {
	return func() bool { return !c.leaves.IsZero() && !time.Now().Before(c.leaves) }
}
func (c *client) Left() error { return nil }

// request is one with these fields, "name: value".
func request(c *client, fields ...string) *filter.Exchange {
	x := &filter.Exchange{Hop: &hop.Hop{Start: time.Now(), Labels: &hop.Labels{Route: "shop"}}}
	x.Connect(c, nil, nil)
	x.Begin(context.Background(), nil)
	x.Request.Begin(nil)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		x.Request.Add(message.FieldByName([]byte(name)), name, value)
	}
	return x
}

func TestInject(t *testing.T) {
	all := inject.Options{Delay: time.Second, DelayShare: route.Shares, Status: 503, AbortShare: route.Shares}
	heeds := inject.Options{Headers: true}
	both := all
	both.Headers = true
	for name, tt := range map[string]struct {
		options inject.Options
		fields  []string
		leaves  time.Duration
		took    time.Duration
		flags   string // of the Hop
		status  int    // 0 is passed on
		grpc    string
		kind    fault.Kind
	}{
		"nothing":                                {},
		"delay, then abort":                      {options: all, took: time.Second, flags: "DI", status: 503, kind: fault.Injected},
		"no share of the requests":               {options: inject.Options{Delay: time.Second, Status: 503}},
		"a status for calls":                     {options: inject.Options{Status: 500, AbortShare: route.Shares, GRPC: hop.GRPCStatusOf(8)}, status: 500, grpc: "RESOURCE_EXHAUSTED", kind: fault.Injected},
		"the client leaves":                      {options: all, leaves: 60 * time.Millisecond, took: 75 * time.Millisecond, flags: "DI", kind: fault.ClientClosed},
		"fields that are not heeded":             {fields: []string{"x-envoy-fault-abort-request: 500", "x-envoy-fault-delay-request: 5"}},
		"fields":                                 {options: heeds, fields: []string{"X-Envoy-Fault-Abort-Request: 418", "X-Envoy-Fault-Delay-Request: 5000"}, took: 5 * time.Second, flags: "DI", status: 418, kind: fault.Injected},
		"fields in place of what is set":         {options: both, fields: []string{"x-envoy-fault-delay-request: 7", "x-envoy-fault-abort-grpc-request: 5"}, took: 7 * time.Millisecond, flags: "DI", status: 503, grpc: "NOT_FOUND", kind: fault.Injected},
		"fields that ask for no share":           {options: both, fields: []string{"x-envoy-fault-delay-request: 7", "x-envoy-fault-delay-request-percentage: 0", "x-envoy-fault-abort-request: 500", "x-envoy-fault-abort-request-percentage: 0"}},
		"fields that ask for more than there is": {options: inject.Options{Delay: time.Second, Status: 503, Headers: true}, fields: []string{"x-envoy-fault-delay-request: 7", "x-envoy-fault-delay-request-percentage: 100", "x-envoy-fault-abort-request: 500"}},
		"a field that asks for no delay":         {options: both, fields: []string{"x-envoy-fault-delay-request: 0"}, status: 503, kind: fault.Injected},
		"malformed fields":                       {options: heeds, fields: []string{"x-envoy-fault-delay-request: soon", "x-envoy-fault-abort-request: 600", "x-envoy-fault-abort-grpc-request: 0"}},
		"fields of which none is there":          {options: both, took: time.Second, flags: "DI", status: 503, kind: fault.Injected},
		"a percentage without what it is of":     {options: heeds, fields: []string{"x-envoy-fault-abort-request-percentage: 100"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &client{}
				if tt.leaves > 0 {
					c.leaves = time.Now().Add(tt.leaves)
				}
				x, passed := request(c, tt.fields...), false
				begin := time.Now()
				err := filter.Chain(func(*filter.Exchange) error { passed = true; return nil }, inject.New(tt.options))(x)
				if took := time.Since(begin); took != tt.took {
					t.Errorf("it took %s, want %s", took, tt.took)
				}
				if passed != (tt.kind == fault.None) || x.Hop.Flags.String() != tt.flags {
					t.Errorf("passed on: %t, flags %q, %v", passed, x.Hop.Flags, err)
				}
				if err == nil {
					return
				}
				if kind := fault.Of(err).Kind; kind != tt.kind {
					t.Errorf("%v is %s, want %s", err, kind, tt.kind)
				}
				answer, _ := errors.AsType[*fault.Answer](err)
				if tt.status > 0 && (answer == nil || answer.Status != tt.status || answer.GRPC.String() != tt.grpc) {
					t.Errorf("the answer is %+v", answer)
				}
			})
		})
	}
}

// TestShares: the shares are as large as they are said to be.
func TestShares(t *testing.T) {
	const n = 20_000
	x, aborted := request(&client{}), 0
	handler := filter.Chain(func(*filter.Exchange) error { return nil }, inject.New(inject.Options{Status: 503, AbortShare: *route.Percent(12.5)}))
	for range n {
		if handler(x) != nil {
			aborted++
		}
	}
	const mean, deviation = n / 8, 47 // of the binomial distribution
	if aborted < mean-8*deviation || aborted > mean+8*deviation {
		t.Errorf("%d of %d requests failed, want about %d", aborted, n, mean)
	}
}
