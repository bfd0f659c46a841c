package guard

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var began = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func options() Options {
	return Options{MinRequests: 200, MaxErrorRate: 0.02, MaxP99: 1.5, Window: 5 * time.Minute}
}

// traffic is what the requests of one side are like.
type traffic struct {
	fails  float64       // the share of failures
	median time.Duration // of durations, which are log-normal
}

func (t traffic) result(r *rand.Rand) Result {
	return Result{r.Float64() < t.fails, time.Duration(float64(t.median) * math.Exp(0.5*r.NormFloat64()))}
}

// run sends requests, one in ten to the canary, ten a second, and returns after how many the
// guard tripped, with the verdict; nil if it did not.
func run(g *Guard, r *rand.Rand, stable, canary traffic, requests int) (int, *Verdict) {
	for i := range requests {
		side, t := Stable, stable
		if r.IntN(10) == 0 {
			side, t = Canary, canary
		}
		if v := g.Observe(began.Add(time.Duration(i)*100*time.Millisecond), side, t.result(r)); v != nil {
			return i, v
		}
	}
	return requests, nil
}

func TestCanaryThatIsWorse(t *testing.T) {
	good := traffic{0.01, 20 * time.Millisecond}
	for _, tt := range []struct {
		name   string
		canary traffic
		reason string
	}{
		{"many errors", traffic{0.3, good.median}, "requests failed"},
		{"errors alone", traffic{1, time.Millisecond}, "requests failed"},
		{"some errors", traffic{0.12, good.median}, "requests failed"},
		{"slow", traffic{0.01, 60 * time.Millisecond}, "99th percentile"},
	} {
		for seed := range uint64(4) {
			g := New(options())
			n, v := run(g, rand.New(rand.NewPCG(seed, 1)), good, tt.canary, 15_000)
			if v == nil || !g.Tripped() || !strings.Contains(v.Reason, tt.reason) {
				t.Errorf("%s, seed %d: after %d requests, verdict %+v", tt.name, seed, n, v)
				continue
			}
			if v.Canary.Requests < 200 || v.Stable.Requests < 200 || v.At.Before(began) {
				t.Errorf("%s, seed %d: too soon: %+v", tt.name, seed, v)
			}
			if s := g.Status(v.At.Add(time.Hour)); s.Verdict != v || s.Canary != v.Canary {
				t.Errorf("%s, seed %d: status %+v", tt.name, seed, s)
			}
		}
	}
}

// A canary that is as good as the others, or worse by less than it may be, goes on.
func TestCanaryThatIsNoWorse(t *testing.T) {
	for _, tt := range []struct {
		name           string
		stable, canary traffic
	}{
		{"alike", traffic{0.01, 20 * time.Millisecond}, traffic{0.01, 20 * time.Millisecond}},
		{"without errors", traffic{0, 20 * time.Millisecond}, traffic{0, 20 * time.Millisecond}},
		{"as many errors as it may have", traffic{0.01, 20 * time.Millisecond}, traffic{0.03, 20 * time.Millisecond}},
		{"as slow as it may be", traffic{0.01, 20 * time.Millisecond}, traffic{0.01, 30 * time.Millisecond}},
		{"better", traffic{0.2, 200 * time.Millisecond}, traffic{0, 20 * time.Millisecond}},
		{"all fail", traffic{1, 20 * time.Millisecond}, traffic{1, 20 * time.Millisecond}},
	} {
		for seed := range uint64(4) {
			if n, v := run(New(options()), rand.New(rand.NewPCG(seed, 2)), tt.stable, tt.canary, 15_000); v != nil {
				t.Errorf("%s, seed %d: after %d requests: %s", tt.name, seed, n, v.Reason)
			}
		}
	}
}

// Few requests prove nothing, whatever they are like.
func TestFewRequests(t *testing.T) {
	g := New(options())
	at := began
	observe := func(side Side, n int, failed bool) (v *Verdict) {
		for range n {
			at = at.Add(time.Second)
			if got := g.Observe(at, side, Result{Failed: failed, Took: time.Millisecond}); got != nil {
				v = got
			}
		}
		return v
	}
	g.options.Window = time.Hour
	g.clear()
	if v := observe(Stable, 300, false); v != nil {
		t.Errorf("without a canary: %s", v.Reason)
	}
	if v := observe(Canary, 199, true); v != nil {
		t.Errorf("after 199 requests: %s", v.Reason)
	}
	v := observe(Canary, 1, true)
	if v == nil || v.Canary.ErrorRate() != 1 || v.Stable.ErrorRate() != 0 {
		t.Fatalf("after 200 requests: %+v", v)
	}
	if v := observe(Canary, 10, true); v != nil {
		t.Errorf("it trips a second time: %s", v.Reason)
	}
	if !g.Reset() || g.Tripped() || g.Reset() {
		t.Error("a reset does not take the verdict back")
	}
	if s := g.Status(at); s.Verdict != nil || s.Canary.Requests != 0 || s.Stable.Requests != 0 {
		t.Errorf("after the reset: %+v", s)
	}
}

// What was before the window is forgotten.
func TestWindow(t *testing.T) {
	o := options()
	o.MaxP99 = 0
	g := New(o)
	for i := range 150 {
		g.Observe(began.Add(time.Duration(i)*time.Millisecond), Canary, Result{Failed: true})
	}
	at := began.Add(6 * time.Minute)
	for i := range 2000 {
		at = at.Add(100 * time.Millisecond)
		side := Stable
		if i%4 == 0 {
			side = Canary
		}
		if v := g.Observe(at, side, Result{Took: time.Millisecond}); v != nil {
			t.Fatalf("it goes by what is long past: %s", v.Reason)
		}
	}
	if s := g.Status(at); s.Canary.Failed != 0 || s.Canary.Requests != 500 {
		t.Errorf("canary: %+v", s.Canary)
	}
	if g.Observe(began, Canary, Result{Failed: true}); g.Status(at).Canary.Failed != 0 {
		t.Error("a request of the past counts")
	}
}

// What is not to be judged is not.
func TestNotJudged(t *testing.T) {
	good, bad := traffic{0, 20 * time.Millisecond}, traffic{1, time.Second}
	for name, o := range map[string]Options{
		"nothing": {MinRequests: 10, MaxErrorRate: 1, Window: time.Hour},
	} {
		if _, v := run(New(o), rand.New(rand.NewPCG(1, 3)), good, bad, 20_000); v != nil {
			t.Errorf("%s: %s", name, v.Reason)
		}
	}
}

func TestSketch(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var s sketch
	var all []time.Duration
	for range 10_000 {
		d := time.Duration(math.Exp(r.Float64()*20) * float64(time.Microsecond)) // up to eight minutes
		all = append(all, d)
		s.observe(d)
	}
	slices.Sort(all)
	for _, n := range []uint64{1, 10, 5000, 9900, 10_000} {
		b, d := s.bucket(n), all[n-1]
		if below(b) >= d || above(b) < d-1 || float64(above(b)) > float64(below(b))*1.021+float64(time.Microsecond) {
			t.Errorf("duration %d of %d is %s, in the bucket from %s to %s", n, len(all), d, below(b), above(b))
		}
	}
	copied := s
	copied.observe(time.Second)
	copied.subtract(&s)
	var one sketch
	if one.observe(time.Second); copied != one {
		t.Error("what is taken back is still there")
	}
	var edges sketch
	edges.observe(0)
	edges.observe(-1)
	edges.observe(1000 * time.Hour)
	if edges[0] != 2 || edges[buckets-1] != 1 {
		t.Error("what is too short or too long is not in the first and the last bucket")
	}
}

// The bounds of the percentile hold but for one case in 30,000, and are not much wider.
func TestBounds(t *testing.T) {
	if _, ok := upper(1000); ok {
		t.Error("1000 durations have an upper bound of their 99th percentile")
	}
	if n, ok := upper(1040); !ok || n != 1040 {
		t.Errorf("1040 durations: %d, %t", n, ok)
	}
	for _, n := range []uint64{1100, 5000, 49_999, 50_001, 1_000_000} {
		high, ok := upper(n)
		low := lower(n)
		middle, spread := float64(n)*percentile, math.Sqrt(float64(n)*percentile*(1-percentile))
		// As a normal distribution would have it, and the skewness of a binomial one.
		if !ok || math.Abs((float64(high)-middle)/spread-sure) > 1.5 || math.Abs((middle-float64(low))/spread-sure) > 1.5 {
			t.Errorf("%d durations: from %d to %d; the percentile is %g, give or take %g", n, low, high, middle, spread)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	const n, runs = 1500, 2000
	high, _ := upper(n)
	low := lower(n)
	for range runs { // that it goes wrong in one of them: 0.13, and the seed is a good one
		over := uint64(0)
		for range n {
			if r.Float64() > percentile {
				over++
			}
		}
		if over > n-low || over < n-high+1 {
			t.Errorf("%d of %d are above the percentile, which is not between the bounds %d and %d", over, n, low, high)
		}
	}
}
