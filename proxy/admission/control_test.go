package admission

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// defaults are Envoy's.
func defaults() Options {
	return Options{Window: 30 * time.Second, Threshold: 95, Aggression: 1, MaxRejection: 80}
}

func TestRejection(t *testing.T) {
	for name, tt := range map[string]struct {
		change              func(*Options)
		requests, successes int
		over                time.Duration // they end within this time
		want                float64
	}{
		"nothing has come":      {want: 0},
		"all is well":           {requests: 100, successes: 100, want: 0},
		"as well as it must be": {requests: 100, successes: 95, want: 0},
		"half":                  {requests: 100, successes: 50, want: (100 - 50/0.95) / 101},
		"all fail":              {requests: 100, want: 0.8},
		"one fails":             {requests: 1, want: 0.5},
		"more aggressive":       {requests: 100, successes: 50, change: func(o *Options) { o.Aggression = 2 }, want: math.Sqrt((100 - 50/0.95) / 101)},
		"another threshold":     {requests: 100, successes: 50, change: func(o *Options) { o.Threshold = 50 }, want: 0},
		"all may be refused":    {requests: 9999, change: func(o *Options) { o.MaxRejection = 100 }, want: 0.9999},
		"too few a second":      {requests: 100, over: 10 * time.Second, change: func(o *Options) { o.MinRate = 11.5 }, want: 0},
		"enough a second":       {requests: 100, over: 10 * time.Second, change: func(o *Options) { o.MinRate = 9 }, want: 0.8},
	} {
		t.Run(name, func(t *testing.T) {
			o := defaults()
			if tt.change != nil {
				tt.change(&o)
			}
			c := New(o)
			now := 100 * time.Second
			for i := range tt.requests {
				c.Record(now+tt.over*time.Duration(i)/time.Duration(tt.requests), i < tt.successes)
			}
			if got := c.Rejection(now + tt.over); math.Abs(got-tt.want) > 1e-9 {
				t.Errorf("%g, want %g", got, tt.want)
			}
		})
	}
}

// TestWindow: what is older than the window counts no more.
func TestWindow(t *testing.T) {
	o := defaults()
	o.Window = 3 * time.Second
	c := New(o)
	for s, want := range []int{1, 2, 3, 3, 3} {
		at := time.Duration(s)*time.Second + 500*time.Millisecond
		c.Record(at, s > 0)
		if _, n := c.Success(at); n != want {
			t.Errorf("after %s: %d requests, want %d", at, n, want)
		}
	}
	if share, n := c.Success(5 * time.Second); share != 1 || n != 2 {
		t.Errorf("a second later: %g of %d", share, n)
	}
	if share, n := c.Success(time.Hour); share != 1 || n != 0 || c.Rejection(time.Hour) != 0 {
		t.Errorf("after an hour: %g of %d", share, n)
	}
	c.Record(time.Hour-time.Minute, false) // a clock that is behind
	if _, n := c.Success(time.Hour); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// TestComesBack: a service that fails altogether gets a fifth of its requests, and all of
// them soon after it is well again.
func TestComesBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	c := New(defaults())
	tries := map[int]int{} // by the minute, of 6,000
	for ms := 0; ms < 240000; ms += 10 {
		now := time.Duration(ms) * time.Millisecond
		minute := ms / 60000
		if c.Admit(now, r.Uint64()) {
			tries[minute]++
			c.Record(now, minute != 1)
		}
	}
	for minute, limits := range map[int][2]int{0: {6000, 6000}, 1: {1200, 3500}, 2: {3000, 6000}, 3: {6000, 6000}} {
		if n := tries[minute]; n < limits[0] || n > limits[1] {
			t.Errorf("minute %d: %d of 6,000 requests were let through, want %d to %d", minute, n, limits[0], limits[1])
		}
	}
}
