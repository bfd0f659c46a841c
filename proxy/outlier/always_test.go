package outlier

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// Whatever happens: never more ejected than may be, every ejection ends, and it
// ends when it was said to.
func TestAlways(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 9))
		percent := rnd.IntN(101)
		r := newRig(1+rnd.IntN(40), func(o *Options) {
			o.MaxEjectionPercent = percent
			o.SplitExternalLocalOriginErrors = rnd.IntN(2) == 0
			o.EnforcingConsecutive5xx, o.EnforcingConsecutiveGatewayFailure = rnd.IntN(101), rnd.IntN(101)
			o.EnforcingFailurePercentage = rnd.IntN(101)
			o.MaxEjectionTimeJitter = time.Duration(rnd.IntN(int(time.Minute)))
		})
		most := max(1, len(r.hosts)*percent/100)
		until := map[*Host]time.Duration{}
		step := func(put bool) {
			for i := range r.hosts {
				for range rnd.IntN(40) {
					if result := Result(rnd.IntN(4)); put && rnd.IntN(i+2) > 0 {
						r.put(i, 1, result)
					}
				}
			}
			for _, c := range r.Decide(r.now, r.hosts, rnd.Uint64) {
				switch end, out := until[c.Host]; {
				case c.Event == Ejected && (out || !c.Host.Ejected()):
					t.Fatalf("seed %d: %+v, ejected before: %t", seed, c, out)
				case c.Event == Ejected:
					if length := c.Until - r.now; length < 30*time.Second || length > 6*time.Minute {
						t.Fatalf("seed %d: ejected for %s", seed, length)
					}
					until[c.Host] = c.Until
				case c.Event == Unejected && (!out || r.now < end):
					t.Fatalf("seed %d: came back at %s, ejected until %s", seed, r.now, end)
				case c.Event == Unejected:
					delete(until, c.Host)
				}
			}
			out := 0
			for _, h := range r.hosts {
				if h.Ejected() != (until[h] != 0) || h.Ejected() && until[h] <= r.now {
					t.Fatalf("seed %d: ejected %t until %s at %s", seed, h.Ejected(), until[h], r.now)
				}
				if h.Ejected() {
					out++
				}
			}
			if out > most {
				t.Fatalf("seed %d: %d of %d ejected, may be %d", seed, out, len(r.hosts), most)
			}
			r.now += time.Duration(rnd.Int64N(int64(2 * time.Second)))
		}
		for range 400 {
			step(true)
		}
		r.now += 6 * time.Minute
		step(false)
		if len(until) > 0 {
			t.Fatalf("seed %d: %d never came back", seed, len(until))
		}
	}
}

// Puts from everywhere, while decisions are made: nothing is counted twice.
func TestConcurrent(t *testing.T) {
	const goroutines, each = 8, 5000
	r := newRig(20, func(o *Options) { o.Consecutive5xx, o.ConsecutiveGatewayFailure = 0, 0 })
	var puts, rest sync.WaitGroup
	for g := range goroutines {
		puts.Go(func() {
			for i := range each {
				r.hosts[(g+i)%len(r.hosts)].Put(r.now, Result(i%4))
			}
		})
	}
	done := make(chan struct{})
	rest.Go(func() {
		for h := r.NewHost(); ; {
			select {
			case <-done:
				return
			default:
				r.Decide(r.now, r.hosts, always)
				r.Eject(r.now, h)
				r.Uneject(r.now, h)
				r.Passed(r.now, h)
				h.State(r.now)
			}
		}
	})
	puts.Wait()
	close(done)
	rest.Wait()
	requests, failures := 0, 0
	for _, h := range r.hosts {
		s := h.State(r.now)
		requests, failures = requests+s.Requests, failures+s.Failures
	}
	if requests != goroutines*each || failures != goroutines*each*3/4 {
		t.Errorf("%d requests, %d failures", requests, failures)
	}
}

// Of those who see a row grow at once, one is asked to look.
func TestOneLooks(t *testing.T) {
	r := newRig(1, func(o *Options) { o.Consecutive5xx = 50; o.ConsecutiveGatewayFailure = 0 })
	looks := make(chan bool, 100)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() { looks <- r.hosts[0].Put(r.now, Error5xx) })
	}
	wg.Wait()
	n := 0
	for range 100 {
		if <-looks {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d were asked to look", n)
	}
}

func TestPutAllocatesNothing(t *testing.T) {
	r := newRig(1, nil)
	if n := testing.AllocsPerRun(1000, func() {
		r.now += time.Millisecond
		r.put(0, 1, Success)
		r.put(0, 1, GatewayError)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPut(b *testing.B) {
	for _, split := range []bool{false, true} {
		b.Run(fmt.Sprintf("split=%t", split), func(b *testing.B) {
			r := newRig(1, func(o *Options) { o.SplitExternalLocalOriginErrors = split })
			b.ReportAllocs()
			for b.Loop() {
				r.now += 10 * time.Microsecond
				r.hosts[0].Put(r.now, Success)
			}
		})
	}
	b.Run("parallel", func(b *testing.B) {
		r := newRig(1, nil)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			now := time.Hour
			for pb.Next() {
				now += 10 * time.Microsecond
				r.hosts[0].Put(now, Success)
			}
		})
	})
}

func BenchmarkDecide1000(b *testing.B) {
	r := newRig(1000, nil)
	for i := range r.hosts {
		r.rate(i, 99, Error5xx)
	}
	b.ReportAllocs()
	for b.Loop() {
		r.Decide(r.now, r.hosts, always)
	}
}
