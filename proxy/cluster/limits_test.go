package cluster

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/netio"
)

// A circuit breaker lets as many requests in as it may, and each that leaves lets
// another in.
func TestLimits(t *testing.T) {
	c := newCluster(t, "a:1")
	for i := range 10 {
		err := c.Enter(Default)
		if i < 8 && err != nil || i >= 8 && fault.Of(err).Kind != fault.Overflow {
			t.Errorf("request %d: %v", i, err)
		}
	}
	c.Leave(Default)
	if err := c.Enter(Default); err != nil {
		t.Error(err)
	}
	if !c.EnterRetry(Default, nil, 0) || c.EnterRetry(Default, nil, 0) {
		t.Error("one retry may be under way, and only one")
	}
	c.LeaveRetry(Default)
	if !c.EnterRetry(Default, nil, 0) {
		t.Error("a retry that has left lets another in")
	}
}

// A budget holds retries to a share of the requests.
func TestBudget(t *testing.T) {
	c := newCluster(t, "a:1")
	b := &Budget{Percent: 20, Min: 3}
	now, retries := time.Second, 0
	for range 10_000 {
		b.Deposit(Default)
		now += time.Millisecond
		if c.EnterRetry(Default, b, now) {
			retries++
			c.LeaveRetry(Default)
		}
	}
	// 20 % of 10,000, and 3 for each of 10 seconds and the beginning.
	if retries < 1990 || retries > 2040 {
		t.Errorf("%d retries of 10,000 requests", retries)
	}
}

// Zero limits let nothing through, and count it.
func TestRefusalsAreCounted(t *testing.T) {
	c := New("web", nil, Options{Upstream: upstreamOptions()}, netio.NewShared())
	defer c.Close()
	for range 3 {
		if c.Enter(Default) == nil || c.EnterRetry(Default, nil, 0) || c.EnterRetry(Default, &Budget{}, time.Second) {
			t.Error("let through")
		}
	}
	if s := c.Status(); s.RefusedRequests != 3 || s.RefusedRetries != 6 || s.Requests != 0 || s.Retries != 0 || s.Retried != 0 {
		t.Errorf("status %+v", s)
	}
}

// However many come at once, no more are let in than may be, and no count is off
// in the end.
func TestLimitsAtOnce(t *testing.T) {
	c := newCluster(t, "a:1") // 8 requests, 1 retry
	var requests, retries, entered atomic.Int64
	within := func(now *atomic.Int64, most int64, of string) {
		if n := now.Add(1); n > most {
			t.Errorf("%d %s at once, and %d may be", n, of, most)
		}
		if n := c.limits[Default].requests.Load(); n < 0 {
			t.Errorf("%d requests are under way", n)
		}
		runtime.Gosched()
		now.Add(-1)
	}
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 500 {
				if c.Enter(Default) != nil {
					continue
				}
				entered.Add(1)
				within(&requests, 8, "requests")
				if c.EnterRetry(Default, nil, 0) {
					within(&retries, 1, "retries")
					c.LeaveRetry(Default)
				}
				c.Leave(Default)
			}
		})
	}
	wg.Wait()
	s := c.Status()
	if s.Requests != 0 || s.Retries != 0 || s.RefusedRequests+uint64(entered.Load()) != 32*500 || s.Retried+s.RefusedRetries != uint64(entered.Load()) {
		t.Errorf("%d were let in; status %+v", entered.Load(), s)
	}
}

// allowed is the most that a budget may have let through: its share of the requests,
// and its minimum at the beginning and in each second.
func (b *Budget) allowed(requests int64, elapsed time.Duration) float64 {
	return b.Percent/100*float64(requests) + float64(b.Min)*(1+elapsed.Seconds()) + 1e-6
}

// A budget holds its bound at every moment, whatever the requests do; and no time
// lets it save more than for some seconds.
func TestBudgetHolds(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		b := &Budget{Percent: float64(random.IntN(120)), Min: random.IntN(5)}
		c := newCluster(t, "a:1")
		c.limits[Default].MaxRequests = 1 << 20
		start := time.Duration(random.Int64N(int64(time.Hour)))
		now := start
		var requests, retries, under, again int64
		most := float64(savings*max(b.Min, 1)) + 1e-6
		for range 20_000 {
			switch n := random.IntN(100); {
			case n < 40:
				if c.Enter(Default) == nil {
					under++
				}
				requests++
				b.Deposit(Default)
			case n < 60 && under > 0:
				c.Leave(Default)
				under--
			case n < 80:
				if c.EnterRetry(Default, b, now-time.Duration(random.IntN(1000))) { // clocks of processors differ a little
					retries++
					again++
					if float64(again) > max(float64(b.Min), b.Percent/100*float64(under)) {
						t.Fatalf("seed %d: %d retries and %d requests at once of %+v", seed, again, under, b)
					}
				}
			case n < 90 && again > 0:
				c.LeaveRetry(Default)
				again--
			default:
				now += time.Duration(random.ExpFloat64() * float64(10*time.Millisecond))
			}
			if float64(retries) > b.allowed(requests, now-start) || b.purses[Default].tokens > most {
				t.Fatalf("seed %d: %d retries of %d requests in %v, %g saved, of %+v", seed, retries, requests, now-start, b.purses[Default].tokens, b)
			}
		}
	}
}

// A budget holds its bound when all fail at once, and gives all that it may.
func TestBudgetAtOnce(t *testing.T) {
	for _, callers := range []int{1, 4, 64} {
		c := newCluster(t, "a:1")
		c.limits[Default].MaxRequests = 1 << 20
		b := &Budget{Percent: 20, Min: 2}
		var clock, requests, retries atomic.Int64
		clock.Store(int64(time.Second))
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for range 32_000 / callers {
					if c.Enter(Default) != nil {
						t.Error("refused")
						continue
					}
					requests.Add(1)
					b.Deposit(Default)
					if c.EnterRetry(Default, b, time.Duration(clock.Add(int64(10*time.Microsecond)))) {
						retries.Add(1)
						c.LeaveRetry(Default)
					}
					c.Leave(Default)
				}
			})
		}
		wg.Wait()
		elapsed := time.Duration(clock.Load()) - time.Second
		if got, most := float64(retries.Load()), b.allowed(requests.Load(), elapsed); got > most || callers == 1 && got < most-10 {
			t.Errorf("%d callers: %g retries of %d requests in %v, and %g may be", callers, got, requests.Load(), elapsed, most)
		}
	}
}
