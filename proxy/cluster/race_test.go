package cluster

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/healthcheck"
	"github.com/hopscope/hopscope/proxy/outlier"
)

// Whatever changes, and as often as it may, a request gets an endpoint that may be
// used or an error that says why not.
func TestPickWhileAllChanges(t *testing.T) {
	for _, policy := range []balance.Policy{balance.PolicyRoundRobin, balance.PolicyLeastRequest, balance.PolicyRingHash, balance.PolicyPeakEWMA} {
		t.Run(policy.String(), func(t *testing.T) {
			o := outlier.Defaults()
			o.MaxEjectionPercent, o.BaseEjectionTime = 100, time.Millisecond
			r := newFed(t, Options{
				Outlier: &o, Checker: idleChecks(t), SlowStart: &SlowStart{Window: 50 * time.Millisecond, Aggression: 1, MinPercent: 10},
				Balance: balance.Options{Policy: policy, PanicThreshold: 50, Overprovisioning: 1.4},
			})
			var done atomic.Bool
			var picks, failures atomic.Int64
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					random := rand.New(rand.NewPCG(1, 2))
					for !done.Load() {
						picks.Add(1)
						r.retried(random, &failures)
						runtime.Gosched() // to those who change things
					}
				})
			}
			wg.Go(func() {
				random := rand.New(rand.NewPCG(3, 4))
				for !done.Load() {
					r.report(random)
					runtime.Gosched()
				}
			})
			random := rand.New(rand.NewPCG(5, 6))
			for range 30 {
				r.feed <- someUpdate(random)
				for n := picks.Load(); picks.Load() < n+50; {
					runtime.Gosched() // until requests have seen it
				}
			}
			done.Store(true)
			wg.Wait()
			if picks.Load() == 0 || failures.Load() == picks.Load() {
				t.Errorf("%d of %d picks failed", failures.Load(), picks.Load())
			}
			if s := r.Status(); s.Requests != 0 || s.Retries != 0 || r.total.Active() != 0 {
				t.Errorf("%d requests remain, %+v", r.total.Active(), s)
			}
			r.Close() // before the log is looked at
			r.logged()
		})
	}
}

// retried picks twice, as a request that is tried again.
func (r *rig) retried(random *rand.Rand, failures *atomic.Int64) {
	if r.Enter(Default) != nil {
		return
	}
	defer r.Leave(Default)
	request := balance.Request{Random: random.Uint64(), Now: r.shared.Now(), Hashed: true, Hash: random.Uint64()}
	for range 2 {
		now := r.shared.Now()
		e, err := r.Pick(&request)
		switch {
		case err != nil:
			failures.Add(1)
			if k := fault.Of(err).Kind; e != nil || k != fault.NoHealthy && k != fault.NoCluster && k != fault.Undiscovered || len(err.Error()) < len("cluster web ....") {
				r.t.Errorf("%v, %v", e, err)
			}
			return
		case e == nil || !strings.HasPrefix(e.Address, "10."):
			r.t.Errorf("picked %v, which is never well", e)
			return
		}
		e.Begin(now)
		e.Note(now, outlier.Result(random.IntN(4)))
		e.Answer(now, now+1, random.IntN(2) == 0)
		e.End()
		request.Tried = append(request.Tried, e.Load)
		r.Others(&request)
	}
}

// report says something of an endpoint.
func (r *rig) report(random *rand.Rand) {
	r.mu.Lock()
	order := r.order
	r.mu.Unlock()
	if len(order) == 0 {
		return
	}
	e := order[random.IntN(len(order))]
	switch random.IntN(10) {
	case 0:
		r.Act(e.Address, []Action{Eject, Drain, Restore, Restore}[random.IntN(4)])
	case 1:
		r.Status()
		r.Picks(func(string, uint64) {})
		r.Ejections(func(string, string, uint64) {})
	default:
		h := healthcheck.Health(1 + random.IntN(3))
		r.checked(e, healthcheck.Report{Health: h, Changed: random.IntN(2) == 0, Detail: h.String()})
	}
}

// someUpdate is a few of the endpoints there may be, and one that is never well.
func someUpdate(random *rand.Rand) discovery.Update {
	switch random.IntN(20) {
	case 0:
		return discovery.Update{Missing: true}
	case 1:
		return discovery.Update{Err: errors.New("it is down")}
	}
	u := discovery.Update{Endpoints: []discovery.Endpoint{{Address: "never:1", Health: discovery.Unhealthy}}}
	for _, a := range numbered(20)[:1+random.IntN(20)] {
		u.Endpoints = append(u.Endpoints, discovery.Endpoint{Address: a, Weight: 1 + random.IntN(3), Priority: random.IntN(2), Health: discovery.Health(random.IntN(4))})
	}
	return u
}
