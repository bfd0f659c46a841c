package healthcheck

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is an endpoint without a socket. Its probes take no time, unless it hangs.
type fake struct {
	mu      sync.Mutex
	outcome Outcome
	hang    bool
	probes  []time.Duration // when, since began
	closed  int
	began   time.Time
}

func (f *fake) probe(ctx context.Context) Result {
	f.mu.Lock()
	f.probes = append(f.probes, time.Since(f.began))
	outcome, hang := f.outcome, f.hang
	f.mu.Unlock()
	if hang {
		<-ctx.Done()
		return Result{Outcome: Failed, Detail: "hung"}
	}
	return Result{Outcome: outcome, Detail: fmt.Sprintf("outcome %d", outcome)}
}

func (f *fake) close() { f.mu.Lock(); f.closed++; f.mu.Unlock() }

func (f *fake) set(outcome Outcome) { f.mu.Lock(); f.outcome = outcome; f.mu.Unlock() }

// seen returns when there were probes, and forgets them.
func (f *fake) seen() []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := f.probes
	f.probes = nil
	return seen
}

// fakes makes a Checker whose probers are fakes, in the order they are opened.
func fakes(t *testing.T, checks ...Options) (*Checker, *[]*fake) { return hanging(t, false, checks...) }

// hanging makes one whose probers hang, or do not.
func hanging(t *testing.T, hang bool, checks ...Options) (*Checker, *[]*fake) {
	t.Helper()
	c, err := New(checks, nil)
	if err != nil {
		t.Fatal(err)
	}
	var all []*fake
	c.open = func(context.Context, string, *Options, TLSConfig) prober {
		f := &fake{began: time.Now(), hang: hang}
		all = append(all, f)
		return f
	}
	return c, &all
}

func tcp(change func(o *Options)) Options {
	o := Options{TCP: &TCP{}}
	if change != nil {
		change(&o)
	}
	return o
}

func same(got []time.Duration, want ...time.Duration) bool {
	return fmt.Sprint(got) == fmt.Sprint(want)
}

func TestSchedule(t *testing.T) {
	const s = time.Second
	synctest.Test(t, func(t *testing.T) {
		c, all := fakes(t, tcp(func(o *Options) { o.UnhealthyInterval = s }))
		defer c.Close()
		var mu sync.Mutex
		var made []Report
		c.Add("a:1", func(r Report) { mu.Lock(); made = append(made, r); mu.Unlock() })
		reported := func() []Report { mu.Lock(); defer mu.Unlock(); return made }
		f := (*all)[0]
		time.Sleep(130 * s) // nobody asks for this cluster
		if got := f.seen(); !same(got, 0, 60*s, 120*s) {
			t.Errorf("without traffic: %v", got)
		}
		c.SetTraffic(true)
		time.Sleep(5 * s)
		got := f.seen()
		if len(got) == 0 || got[0] >= 135*s {
			t.Fatalf("after traffic began: %v", got)
		}
		first := got[0]
		time.Sleep(10 * s)
		got = append(got, f.seen()...)
		if len(got) < 3 || got[1] != first+5*s || got[2] != first+10*s {
			t.Errorf("with traffic: %v", got)
		}
		synctest.Wait()
		f.set(Failed)
		n := len(reported())
		time.Sleep(5*s + 3*s)
		synctest.Wait()
		got = f.seen()
		if len(got) < 3 || got[1] != got[0]+s || got[2] != got[1]+s {
			t.Errorf("after failures: %v", got)
		}
		reports := reported()
		for i, r := range reports[n : n+3] {
			if r.Changed != (i == 2) || r.Result.Passed() || r.Health == Unhealthy != (i == 2) {
				t.Errorf("failure %d: %+v", i, r)
			}
		}
		if r := reports[0]; r.Health != Healthy || !r.Changed || r.Detail != "outcome 0" {
			t.Errorf("first report %+v", r)
		}
		if r := reports[1]; r.Changed {
			t.Errorf("second report %+v", r)
		}
		c.SetTraffic(false)
		time.Sleep(2 * s)
		f.seen()
		time.Sleep(59 * s)
		if got := f.seen(); len(got) > 1 {
			t.Errorf("after traffic ended: %v", got)
		}
	})
}

// Traffic that begins while a probe is under way is not missed.
func TestTrafficBeginsWithinAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, all := fakes(t, tcp(nil))
		defer c.Close()
		c.Add("a:1", func(Report) { c.SetTraffic(true) })
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := (*all)[0].seen(); len(got) < 2 {
			t.Errorf("probes %v", got)
		}
	})
}

// Thousands that come at once are not probed at once, then or later.
func TestSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, all := fakes(t, tcp(nil))
		defer c.Close()
		c.SetTraffic(true)
		const endpoints = 5000
		for range endpoints {
			c.Add("a:1", func(Report) {})
		}
		time.Sleep(12 * time.Second)
		at := map[time.Duration]int{}
		for _, f := range *all {
			got := f.seen()
			if len(got) < 2 || got[0] > endpoints*pace || got[1] != got[0]+5*time.Second {
				t.Fatalf("probes at %v", got)
			}
			for _, when := range got {
				at[when]++
			}
		}
		for when, n := range at {
			if n > 1 {
				t.Fatalf("%d probes at %s", n, when)
			}
		}
	})
}

func TestInitialJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, all := fakes(t, tcp(func(o *Options) { o.InitialJitter = 10 * time.Second }))
		defer c.Close()
		for range 100 {
			c.Add("a:1", func(Report) {})
		}
		time.Sleep(10 * time.Second)
		early := 0
		for _, f := range *all {
			got := f.seen()
			if len(got) != 1 {
				t.Fatalf("%v in the time of the jitter", got)
			}
			if got[0] < 5*time.Second {
				early++
			}
		}
		if early < 20 || early > 80 {
			t.Errorf("%d of 100 in the first half", early)
		}
	})
}

// An endpoint is as well as the worst of its checks says.
func TestSeveralChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, all := fakes(t, tcp(nil), tcp(func(o *Options) { o.InitialJitter = 0; o.UnhealthyThreshold = 1 }))
		defer c.Close()
		c.SetTraffic(true)
		var got []string
		c.Add("a:1", func(r Report) { got = append(got, fmt.Sprintf("%d %s %t %s", r.Check, r.Health, r.Changed, r.Detail)) })
		step := func(wait time.Duration, first, second Outcome, want ...string) {
			t.Helper()
			(*all)[0].set(first)
			(*all)[1].set(second)
			time.Sleep(wait)
			synctest.Wait()
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%q, want %q", got, want)
			}
			got = nil
		}
		step(time.Second, Passed, Passed, "0 pending false ", "1 healthy true outcome 0")
		step(5*time.Second, Passed, Failed, "0 healthy false outcome 0", "1 unhealthy true outcome 2")
		step(5*time.Second, PassedDegraded, Passed, "0 unhealthy false outcome 2", "1 unhealthy false outcome 0")
		step(5*time.Second, PassedDegraded, Passed, "0 unhealthy false outcome 0", "1 degraded true outcome 1")
		step(5*time.Second, Passed, Passed, "0 healthy true outcome 0", "1 healthy false outcome 0")
	})
}

// An endpoint that hangs costs the timeout, and its removal ends that.
func TestHanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, all := hanging(t, true, tcp(func(o *Options) { o.Timeout = 2 * time.Second }))
		defer c.Close()
		c.SetTraffic(true)
		reports := 0
		e := c.Add("a:1", func(r Report) {
			reports++
			if r.Result.Took != 2*time.Second {
				t.Errorf("took %s", r.Result.Took)
			}
		})
		f := (*all)[0]
		time.Sleep(7 * time.Second) // the second has just begun
		synctest.Wait()
		if got := f.seen(); !same(got, 0, 7*time.Second) || reports != 1 {
			t.Errorf("probes at %v, %d reports", got, reports)
		}
		e.Remove()
		synctest.Wait()
		if f.closed != 1 || reports != 1 || len(c.all) != 0 {
			t.Errorf("closed %d times, %d reports, %d endpoints left", f.closed, reports, len(c.all))
		}
		e.Remove()
		time.Sleep(time.Hour)
		if got := f.seen(); len(got) > 0 || f.closed != 1 {
			t.Errorf("probes at %v after its removal; closed %d times", got, f.closed)
		}
	})
}

func TestRemoveBetweenProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, all := fakes(t, tcp(nil))
		defer c.Close()
		e := c.Add("a:1", func(Report) {})
		time.Sleep(time.Second)
		e.Remove()
		if f := (*all)[0]; f.closed != 1 {
			t.Error("its connection is kept")
		}
		c.SetTraffic(true)
		time.Sleep(time.Hour)
		if got := (*all)[0].seen(); !same(got, 0) {
			t.Errorf("probes at %v", got)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, all := hanging(t, true, tcp(nil))
		for range 10 {
			c.Add("a:1", func(Report) { t.Error("a report of a probe that was ended") })
		}
		time.Sleep(5 * time.Millisecond)
		synctest.Wait()
		start := time.Now()
		c.Close()
		if took := time.Since(start); took != 0 {
			t.Errorf("took %s", took)
		}
		for i, f := range *all {
			if f.closed != 1 || len(f.seen()) != min(1, max(6-i, 0)) {
				t.Errorf("endpoint %d: closed %d times", i, f.closed)
			}
		}
		c.Close()
		c.SetTraffic(true)
		c.Add("a:1", func(Report) { t.Error("a report after the end") }).Remove()
		time.Sleep(time.Hour)
	})
}

// Endpoints come and go from everywhere while probes and reports are made; a
// report may take a lock that is held around Add, Remove and SetTraffic.
func TestConcurrent(t *testing.T) {
	c, err := New([]Options{tcp(func(o *Options) { o.Interval = time.Millisecond })}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.open = func(context.Context, string, *Options, TLSConfig) prober { return &fake{} }
	var lock sync.Mutex
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for i := range 50 {
				reported := make(chan struct{}, 1)
				lock.Lock()
				e := c.Add("a:1", func(Report) {
					lock.Lock()
					defer lock.Unlock()
					select {
					case reported <- struct{}{}:
					default:
					}
				})
				c.SetTraffic(i%2 == 0)
				lock.Unlock()
				<-reported
				lock.Lock()
				e.Remove()
				lock.Unlock()
			}
		})
	}
	work.Wait()
	c.Close()
}
