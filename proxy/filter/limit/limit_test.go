package limit_test

import (
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/concurrency"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/limit"
	"github.com/hopscope/hopscope/proxy/filter/shed"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// exchange is one that began just now.
func exchange() *filter.Exchange {
	return &filter.Exchange{Hop: &hop.Hop{Labels: &hop.Labels{Route: "r"}, Start: time.Now()}}
}

// TestSamples: the adaptive limit learns from responses, and from services that are too
// slow, and from nothing else.
func TestSamples(t *testing.T) {
	for name, tt := range map[string]struct {
		respond bool // the response begins, after a second
		kind    hop.Kind
		fails   fault.Kind
		learns  bool
		atLeast time.Duration
	}{
		"response":            {respond: true, learns: true, atLeast: time.Second},
		"response broke off":  {respond: true, fails: fault.UpstreamClosed},
		"timeout":             {fails: fault.UpstreamTimeout, learns: true},
		"timeout of content":  {respond: true, fails: fault.UpstreamTimeout},
		"connection refused":  {fails: fault.ConnectRefused},
		"client went away":    {fails: fault.ClientClosed},
		"tunnel":              {respond: true, kind: hop.KindTunnel},
		"nothing was written": {},
	} {
		t.Run(name, func(t *testing.T) {
			g := concurrency.New(concurrency.Options{Percentile: 50, MinLimit: 1, MaxLimit: 9, MinRTTRequests: 1}, 0, 1)
			var s limit.State
			x := exchange()
			handle := filter.Chain(func(x *filter.Exchange) error {
				if active, _ := s.Gate.Load(); active != 1 {
					t.Errorf("%d requests are under way", active)
				}
				if tt.respond {
					x.Hop.FirstByte = x.Now() + time.Second
				}
				if x.Hop.Kind = tt.kind; tt.fails != fault.None {
					return fault.New(tt.fails, "so it is")
				}
				return nil
			}, limit.New(&s, limit.Options{Adaptive: g}))
			if err := handle(x); (err != nil) != (tt.fails != fault.None) {
				t.Fatal(err)
			}
			if m := g.Stats().MinRTT; (m > 0) != tt.learns || m < tt.atLeast*9/10 {
				t.Errorf("it learned %s", m)
			}
			if active, _ := s.Gate.Load(); active != 0 {
				t.Errorf("%d requests are under way in the end", active)
			}
		})
	}
}

// TestPanicLeaves: a request that panics is not under way for ever.
func TestPanicLeaves(t *testing.T) {
	var s limit.State
	handle := filter.Chain(func(*filter.Exchange) error { panic("so it is") }, limit.New(&s, limit.Options{Max: 1}))
	for range 2 {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			_ = handle(exchange())
		}()
	}
}

// TestLowerLimit: the lower of the two limits holds, and the reason names it.
func TestLowerLimit(t *testing.T) {
	for _, tt := range []struct {
		most, adaptive int
		want           fault.Kind
	}{
		{1, 2, fault.RouteOverflow}, {1, 1, fault.RouteOverflow}, {2, 1, fault.ConcurrencyLimit}, {0, 1, fault.ConcurrencyLimit},
	} {
		var s limit.State
		var chain filter.Handler
		depth := 0
		inner := func(x *filter.Exchange) error {
			depth++
			return chain(x) // each is under way within the one before
		}
		g := concurrency.New(concurrency.Options{MinLimit: tt.adaptive, MaxLimit: 9, MinRTTRequests: 100}, 0, 1)
		chain = filter.Chain(inner, limit.New(&s, limit.Options{Max: tt.most, Adaptive: g, Shed: shed.Answer{Status: 503}}))
		err := chain(exchange())
		if depth != 1 || fault.Of(err).Kind != tt.want {
			t.Errorf("max %d, adaptive %d: %d requests, then %v, want %s", tt.most, tt.adaptive, depth, err, tt.want)
		}
	}
}
