package concurrency

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

const ms = time.Millisecond

// defaults are Envoy's.
func defaults() Options {
	return Options{
		Percentile: 50, MinLimit: 3, MaxLimit: 1000, UpdateInterval: 100 * ms,
		MinRTTInterval: time.Minute, Jitter: 15, MinRTTRequests: 50, Buffer: 25,
	}
}

// TestGradient: the limit moves by the formula.
func TestGradient(t *testing.T) {
	for name, tt := range map[string]struct {
		limit, want  int
		sample       time.Duration
		wantGradient float64
	}{
		"as fast as can be":              {100, 136, 10 * ms, 1.25},
		"much faster than was measured":  {100, 214, ms, 2},
		"within the buffer":              {100, 110, 12500 * time.Microsecond, 1},
		"twice as slow":                  {100, 70, 20 * ms, 0.625},
		"never less than a half at once": {100, 57, time.Second, 0.5},
		"never more than the most":       {900, 1000, ms, 2},
		"never less than the least":      {4, 3, time.Second, 0.5},
	} {
		t.Run(name, func(t *testing.T) {
			o := defaults()
			o.FixedMinRTT = 10 * ms
			g := New(o, 0, 1)
			g.limit = tt.limit
			g.Sample(0, tt.sample, 50*ms)
			if got := g.Limit(99 * ms); got != tt.limit {
				t.Errorf("within the window the limit is %d", got)
			}
			got := g.Limit(100 * ms)
			if s := g.Stats(); math.Abs(s.Gradient-tt.wantGradient) > 0.04 || math.Abs(float64(got-tt.want)) > 0.05*float64(tt.want) {
				t.Errorf("limit %d by a gradient of %g, want %d by %g", got, s.Gradient, tt.want, tt.wantGradient)
			}
			if again := g.Limit(200 * ms); again != got {
				t.Errorf("a window without samples moves the limit to %d", again)
			}
		})
	}
}

// TestMeasurement: the shortest time is measured with few requests under way, by those that
// began since, and again after the interval.
func TestMeasurement(t *testing.T) {
	g := New(defaults(), 0, 1)
	now := time.Duration(0)
	measure := func(took time.Duration) {
		for range 50 {
			if s := g.Stats(); !s.Measuring || s.Limit != 3 {
				t.Fatalf("while it is measured: %+v", s)
			}
			g.Sample(now, took, now+took)
			now += took
		}
		if s := g.Stats(); s.Measuring || math.Abs(float64(s.MinRTT-took)) > 0.02*float64(took) {
			t.Fatalf("after requests of %s: %+v", took, s)
		}
	}
	measure(10 * ms)
	for range 100 {
		now += 100 * ms
		g.Sample(now-10*ms, 10*ms, now)
	}
	limit := g.Limit(now)
	if limit < 50 {
		t.Errorf("the limit is %d after 10 s of fast requests", limit)
	}
	now += time.Minute + 9*time.Second // and the jitter
	began := now - time.Second
	if g.Limit(now) != 3 {
		t.Errorf("after the interval: %+v", g.Stats())
	}
	for range 100 { // they began before, with others beside them
		g.Sample(began, time.Second, now)
	}
	measure(20 * ms)
	if got := g.Limit(now); got != limit {
		t.Errorf("after the measurement the limit is %d, was %d", got, limit)
	}
}

// TestWrongMeasurement: where the limit stays at its least, the shortest time is measured
// anew.
func TestWrongMeasurement(t *testing.T) {
	g := New(defaults(), 0, 1)
	now := time.Duration(0)
	for range 50 {
		now += ms
		g.Sample(now-ms, ms, now)
	}
	for range windows {
		if g.Stats().Measuring {
			t.Fatalf("measured too soon, at %s", now)
		}
		now += 100 * ms
		g.Sample(now-50*ms, 50*ms, now) // it counts for the next window
	}
	g.Limit(now + 100*ms)
	if s := g.Stats(); !s.Measuring {
		t.Errorf("not measured anew: %+v, %d windows", s, g.atLeast)
	}
}

func TestHistogram(t *testing.T) {
	for v := uint64(0); v < 1<<62; v += v/40 + 1 {
		if m := middle(bucketOf(v)); math.Abs(float64(m)-float64(v)) > float64(v)/32+0.5 {
			t.Fatalf("%d counts as %d", v, m)
		}
	}
	var h histogram
	for i := range 1000 {
		h.add(time.Duration(i+1) * ms)
	}
	for p, want := range map[float64]time.Duration{0: ms, 50: 500 * ms, 99: 990 * ms, 100: time.Second} {
		if got := h.percentile(p); math.Abs(float64(got-want)) > 0.035*float64(want) {
			t.Errorf("percentile %g is %s, want %s", p, got, want)
		}
	}
	h.add(-1)
	h.add(math.MaxInt64)
}

// service is a simulated service: it works on so many requests at once, and the others
// wait there.
type service struct {
	workers []time.Duration // when each is free
	ends    ends
}

// ends are the requests under way, by their end.
type ends []request
type request struct{ began, ends time.Duration }

func (e ends) Len() int           { return len(e) }
func (e ends) Less(i, j int) bool { return e[i].ends < e[j].ends }
func (e ends) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *ends) Push(x any)        { *e = append(*e, x.(request)) }
func (e *ends) Pop() any          { x := (*e)[len(*e)-1]; *e = (*e)[:len(*e)-1]; return x }

func (s *service) take(now, work time.Duration) {
	first := 0
	for i, free := range s.workers {
		if free < s.workers[first] {
			first = i
		}
	}
	end := max(now, s.workers[first]) + work
	s.workers[first] = end
	heap.Push(&s.ends, request{now, end})
}

// TestOverload: a service that is asked for twice what it can do stays about as fast as it
// is, and does about as much as it can; without a limit, requests would wait for ever longer.
func TestOverload(t *testing.T) {
	const workers, work = 20, 10 * ms // 2,000 a second
	for _, load := range []float64{0.5, 2, 5} {
		r := rand.New(rand.NewPCG(1, 2))
		o := defaults()
		o.MinRTTInterval = 10 * time.Second
		g := New(o, 0, 1)
		s := &service{workers: make([]time.Duration, workers)}
		done, shed, slow := 0, 0, 0
		for now := time.Duration(0); now < 30*time.Second; now += time.Duration(r.ExpFloat64() * float64(work) / workers / load) {
			for len(s.ends) > 0 && s.ends[0].ends <= now {
				q := heap.Pop(&s.ends).(request)
				g.Sample(q.began, q.ends-q.began, q.ends)
				if now > 5*time.Second {
					done++
					if q.ends-q.began > 4*work {
						slow++
					}
				}
			}
			if len(s.ends) < g.Limit(now) {
				s.take(now, time.Duration((0.5+r.Float64())*float64(work)))
			} else if now > 5*time.Second {
				shed++
			}
		}
		could := min(load, 1) * workers / work.Seconds() * 25
		if float64(done) < 0.9*could {
			t.Errorf("load %g: %d requests done, and it can do %g", load, done, could)
		}
		if slow > done/100 {
			t.Errorf("load %g: %d of %d requests took more than four times what they need", load, slow, done)
		}
		if load < 1 && shed > done/50 {
			t.Errorf("load %g: %d of %d requests were shed", load, shed, done)
		}
	}
}
