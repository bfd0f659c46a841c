package cluster

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/healthcheck"
	"github.com/hopscope/hopscope/proxy/outlier"
)

// idleChecks are checks that are never made within a test.
func idleChecks(t testing.TB) *healthcheck.Checker {
	return newChecker(t, func(o *healthcheck.Options) { o.InitialJitter = 1 << 60 })
}

// Many changes at one time are few states.
func TestChangesAreGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 200
		r := newFed(t, Options{Checker: idleChecks(t)})
		r.found(numbered(n)...)
		r.pass(time.Second)
		before := r.state.Load()
		report := healthcheck.Report{Health: healthcheck.Healthy, Changed: true}
		r.checked(r.order[0], report)
		synctest.Wait()
		first := r.state.Load()
		if first == before {
			t.Error("the first change has to wait")
		}
		for _, e := range r.order[1 : n-1] {
			r.checked(e, report)
			synctest.Wait()
			if r.state.Load() != first {
				t.Fatal("each change makes a state")
			}
		}
		r.pass(gather)
		all := r.state.Load()
		for i, h := range all.set.Hosts()[:n-1] {
			if h.Health != balance.Healthy {
				t.Fatalf("endpoint %d is %v", i, h.Health)
			}
		}
		r.checked(r.order[n-1], report)
		if r.state.Load() == all || !r.isReady() {
			t.Error("the last that is waited for has to wait")
		}
	})
}

// No state is made while nothing changes.
func TestNoStateWithoutChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := outlier.Defaults()
		r := newFed(t, slowly(Options{Outlier: &o}))
		r.found("a:1", "b:1")
		r.pass(time.Second)
		before := r.state.Load()
		r.fail(r.endpoint("a:1"), 4)
		r.pass(time.Hour)
		if r.state.Load() != before {
			t.Error("a state was made")
		}
	})
}

// Close leaves nothing behind, also within a slow start and an ejection.
func TestClose(t *testing.T) {
	a := newPatient(t)
	synctest.Test(t, func(t *testing.T) {
		o := outlier.Defaults()
		r := newFed(t, slowly(Options{Outlier: &o, Checker: newChecker(t, nil)}))
		r.found(a.address)
		r.Ready(t.Context())
		r.found(a.address, "127.0.0.1:1")
		e := r.endpoint(a.address)
		e.Begin(r.shared.Now())
		r.fail(e, 5)
		r.Close()
		before := r.state.Load()
		r.fail(e, 5)
		r.pass(time.Hour)
		if r.state.Load() != before {
			t.Error("a closed cluster makes states")
		}
		if _, err := r.Pick(&balance.Request{}); err != nil {
			t.Error(err)
		}
		e.Answer(0, 0, true)
		e.End()
		r.Close() // once more does no harm
	})
}
