package cluster

import (
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/healthcheck"
	"github.com/hopscope/hopscope/proxy/outlier"
)

const window = 100 * time.Second

func slowly(o Options) Options {
	o.SlowStart = &SlowStart{Window: window, Aggression: 1, MinPercent: 10}
	o.Balance = balance.Options{PanicThreshold: 50, Overprovisioning: 1.4}
	return o
}

// wantGrowth checks that an endpoint's weight grows to the whole from now on.
func (r *rig) wantGrowth(address string, whole float64) {
	r.t.Helper()
	for _, percent := range []float64{0, 5, 10, 50, 90, 99, 100, 100} {
		want := whole * min(max(percent, 10), 100) / 100
		if w := r.status(address).Weight; math.Abs(w-want) > whole*0.011 {
			r.t.Fatalf("after %g %% of the window: weight %g, want %g", percent, w, want)
		}
		next := map[float64]float64{0: 5, 5: 5, 10: 40, 50: 40, 90: 9, 99: 1}
		r.pass(time.Duration(next[percent] / 100 * float64(window)))
	}
	r.pass(2 * window)
	if w := r.status(address).Weight; w != whole {
		r.t.Errorf("weight %g, want %g", w, whole)
	}
}

// The first endpoints have their whole weight, and those that come later grow.
func TestSlowStartOfLaterEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFed(t, slowly(Options{}))
		r.deliver(discovery.Update{Err: errors.New("down")}) // an answer, too
		r.found("a:1", "b:1")
		for _, a := range []string{"a:1", "b:1"} {
			if w := r.status(a).Weight; w != 1 {
				t.Errorf("the first endpoint %s has weight %g", a, w)
			}
		}
		endpoints := at("a:1", "b:1", "c:1")
		endpoints[2].Weight = 10
		r.deliver(discovery.Update{Endpoints: endpoints})
		r.wantGrowth("c:1", 10)

		r.found("a:1", "b:1")
		r.found("a:1", "b:1", "c:1")
		r.wantGrowth("c:1", 1)
		if w := r.status("a:1").Weight; w != 1 {
			t.Errorf("one that stayed has weight %g", w)
		}
	})
}

// Whatever an endpoint comes back from, it grows again.
func TestSlowStartOfThoseThatComeBack(t *testing.T) {
	drained := at("a:1", "b:1")
	drained[0].Health = discovery.Draining
	unhealthy := at("a:1", "b:1")
	unhealthy[0].Health = discovery.Unhealthy
	act := func(a Action) func(*rig) {
		return func(r *rig) {
			if err := r.Act("a:1", a); err != nil {
				r.t.Error(err)
			}
		}
	}
	for _, tt := range []struct {
		name       string
		leave, end func(*rig)
	}{
		{"drained by hand", act(Drain), act(Restore)},
		{"ejected by hand", act(Eject), act(Restore)},
		{"draining in the source", func(r *rig) { r.deliver(discovery.Update{Endpoints: drained}) }, func(r *rig) { r.found("a:1", "b:1") }},
		{"unhealthy in the source", func(r *rig) { r.deliver(discovery.Update{Endpoints: unhealthy}) }, func(r *rig) { r.found("a:1", "b:1") }},
		{"ejected", func(r *rig) { r.fail(r.endpoint("a:1"), 5) }, act(Restore)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := outlier.Defaults()
				r := newFed(t, slowly(Options{Outlier: &o}))
				r.found("a:1", "b:1")
				for range 2 {
					tt.leave(r)
					r.pass(time.Second)
					r.wantPicked("b:1")
					tt.end(r)
					r.wantGrowth("a:1", 1)
				}
			})
		})
	}
}

// The first check is no coming back, and to be found unhealthy by it is.
func TestSlowStartAndChecks(t *testing.T) {
	a, b := newPatient(t), newPatient(t)
	b.status.Store(503)
	synctest.Test(t, func(t *testing.T) {
		r := newFed(t, slowly(Options{Checker: newChecker(t, func(o *healthcheck.Options) { o.HealthyThreshold = 1 })}))
		r.found(a.address, b.address)
		r.Ready(t.Context())
		if w := r.status(a.address).Weight; w != 1 || r.status(b.address).Health != "unhealthy" {
			t.Errorf("weight %g of one that was there from the start", w)
		}
		b.status.Store(200)
		for r.status(b.address).Health != "healthy" {
			r.pass(100 * time.Millisecond)
		}
		r.wantGrowth(b.address, 1)
	})
}

// Requests follow the weight.
func TestSlowStartIsPicked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFed(t, slowly(Options{}))
		r.found("a:1")
		r.found("a:1", "b:1")
		r.pass(window / 4)
		if n := r.picked(1000)["b:1"]; n < 190 || n > 210 {
			t.Errorf("%d of 1000 picks at a quarter of the weight, want 200", n)
		}
	})
}
