package cluster

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/healthcheck"
	"github.com/hopscope/hopscope/proxy/outlier"
)

// patient is a server outside of the bubble that says how it is. Checks of others in
// a bubble go to IP addresses too: net's resolver does not bear bubbles.
type patient struct {
	address string
	status  atomic.Int64
	asked   atomic.Int64
}

func newPatient(t testing.TB) *patient {
	p := &patient{}
	p.status.Store(200)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.asked.Add(1)
		if status := p.status.Load(); status == 299 {
			w.Header().Set("X-Envoy-Degraded", "1")
		} else {
			w.WriteHeader(int(status))
		}
	}))
	t.Cleanup(s.Close)
	p.address = s.Listener.Addr().String()
	return p
}

func newChecker(t testing.TB, change func(*healthcheck.Options)) *healthcheck.Checker {
	t.Helper()
	o := healthcheck.Options{HTTP: &healthcheck.HTTP{Path: "/health"}, CloseConnection: true, Timeout: 10 * time.Second}
	if change != nil {
		change(&o)
	}
	c, err := healthcheck.New([]healthcheck.Options{o}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Endpoints get requests as their checks go, and before the first has ended as long as
// there is no other.
func TestChecks(t *testing.T) {
	const minute = time.Minute + gather // until the next checks, and what comes of them
	a, b := newPatient(t), newPatient(t)
	b.status.Store(503)
	synctest.Test(t, func(t *testing.T) {
		r := newFed(t, Options{Checker: newChecker(t, func(o *healthcheck.Options) { o.InitialJitter = time.Second }), Balance: balance.Options{PanicThreshold: 0}})
		r.found(a.address, b.address)
		for r.status(a.address).Check == "" && r.status(b.address).Check == "" {
			if r.isReady() {
				t.Error("it is ready before the first checks have ended")
			}
			if s := r.status(a.address); s.Health != "unchecked" || s.Why != "not checked yet" {
				t.Fatalf("status %+v", s)
			}
			r.wantPicked(a.address, b.address)
			r.pass(time.Millisecond)
		}
		if !r.Ready(t.Context()) {
			t.Error("it is not ready")
		}
		r.wantPicked(a.address) // at once: Ready waits for the state too
		r.wantLog([]string{"endpoints changed"}, []string{"level=WARN", "endpoint is unhealthy", "endpoint=" + b.address, "answered 503"})

		b.status.Store(299)
		r.pass(minute)
		r.wantLog() // it takes two
		r.pass(minute)
		r.wantLog([]string{"endpoint is degraded", b.address})
		if s := r.status(b.address); s.Health != "degraded" || s.Check == "" {
			t.Errorf("status %+v", s)
		}
		b.status.Store(200)
		r.pass(minute)
		r.wantPicked(a.address, b.address)
		r.wantLog([]string{"level=INFO", "endpoint is healthy", b.address})

		b.status.Store(404)
		a.status.Store(404)
		r.pass(minute)
		r.nothing(fault.NoHealthy, "of 2: "+a.address+" is unhealthy: GET /health on "+a.address+" answered 404, ")
		a.status.Store(200)
		r.pass(2 * minute)
		r.wantPicked(a.address)

		before := b.asked.Load()
		r.found(a.address)
		r.pass(time.Hour)
		if n := b.asked.Load() - before; n > 0 {
			t.Errorf("an endpoint that left was asked %d times more", n)
		}
		before = a.asked.Load()
		r.Close()
		r.pass(time.Hour)
		if n := a.asked.Load() - before; n > 0 {
			t.Errorf("the endpoint of a closed cluster was asked %d times more", n)
		}
		r.wantPicked(a.address)
	})
}

// Idle clusters are asked once a minute, and others every few seconds.
func TestTrafficHastensChecks(t *testing.T) {
	a := newPatient(t)
	synctest.Test(t, func(t *testing.T) {
		r := newFed(t, Options{Checker: newChecker(t, nil)})
		r.found(a.address)
		r.Ready(t.Context())
		r.pass(10*time.Minute + time.Second)
		if n := a.asked.Load(); n != 11 {
			t.Errorf("asked %d times in ten idle minutes", n)
		}
		if err := r.Enter(Default); err != nil {
			t.Fatal(err)
		}
		r.Leave(Default)
		r.pass(time.Minute)
		if n := a.asked.Load() - 11; n < 11 || n > 13 {
			t.Errorf("asked %d times in a busy minute", n)
		}
	})
}

// Ready does not wait for an endpoint that left before it was checked.
func TestReadyWithoutThoseThatLeft(t *testing.T) {
	a := newPatient(t)
	synctest.Test(t, func(t *testing.T) {
		r := newFed(t, Options{Checker: newChecker(t, func(o *healthcheck.Options) { o.InitialJitter = time.Hour })})
		r.found(a.address, "127.0.0.1:1")
		if r.isReady() {
			t.Error("it is ready before the first checks have ended")
		}
		r.found()
		if !r.isReady() {
			t.Error("there is nothing to wait for")
		}
		if r.pending != 0 {
			t.Errorf("%d endpoints wait for their first check", r.pending)
		}
	})
}

// A check that passes ends an ejection, if the endpoint counts as well.
func TestCheckEndsEjection(t *testing.T) {
	for _, tt := range []struct {
		name   string
		report healthcheck.Report
		back   bool
	}{
		{"passed", healthcheck.Report{Health: healthcheck.Healthy}, true},
		{"passed, degraded", healthcheck.Report{Health: healthcheck.Degraded, Result: healthcheck.Result{Outcome: healthcheck.PassedDegraded}}, true},
		{"passed, still unhealthy", healthcheck.Report{Health: healthcheck.Unhealthy}, false},
		{"passed, another is pending", healthcheck.Report{Health: healthcheck.Pending}, false},
		{"failed, still healthy", healthcheck.Report{Health: healthcheck.Healthy, Result: healthcheck.Result{Outcome: healthcheck.Failed}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newPatient(t)
			synctest.Test(t, func(t *testing.T) {
				o := outlier.Defaults()
				r := newFed(t, Options{Outlier: &o, Checker: newChecker(t, nil)})
				r.found(a.address)
				r.Ready(t.Context())
				e := r.endpoint(a.address)
				r.fail(e, 5)
				if !r.status(a.address).Ejected {
					t.Fatal("it is not ejected")
				}
				r.logged()
				r.checked(e, tt.report)
				r.pass(gather)
				if r.status(a.address).Ejected == tt.back {
					t.Errorf("status %+v", r.status(a.address))
				}
				if tt.back {
					r.wantLog([]string{"level=INFO", "endpoint back", "reason=consecutive_5xx", "health check passed"})
				}
			})
		})
	}
}

// What is reported of an endpoint that left is nothing to the one that came back.
func TestReportOfOneThatLeft(t *testing.T) {
	a := newPatient(t)
	synctest.Test(t, func(t *testing.T) {
		r := newFed(t, Options{Checker: newChecker(t, nil)})
		r.found(a.address)
		r.Ready(t.Context())
		gone := r.endpoint(a.address)
		r.found()
		r.found(a.address)
		r.Ready(t.Context())
		r.pass(time.Second)
		r.logged()
		r.checked(gone, healthcheck.Report{Health: healthcheck.Unhealthy, Changed: true})
		r.pass(gather)
		r.wantLog()
		r.wantPicked(a.address)
	})
}

// Reports, updates, traffic and status take each other's locks in one order.
func TestNoDeadlock(t *testing.T) {
	a, b := newPatient(t), newPatient(t)
	checker := newChecker(t, func(o *healthcheck.Options) { o.Interval, o.NoTrafficInterval = time.Millisecond, time.Millisecond })
	r := newFed(t, Options{Checker: checker})
	var wg sync.WaitGroup
	for i := range 50 {
		r.feed <- discovery.Update{Endpoints: at(a.address, b.address)[i%2:]}
		wg.Go(func() { r.Status() })
		wg.Go(func() { r.Act(a.address, Drain) })
		wg.Go(func() {
			checker.SetTraffic(i%2 == 0)
			r.used.Store(false)
			if r.Enter(Default) == nil {
				r.Leave(Default)
			}
		})
	}
	wg.Wait()
}
