package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/fault"
)

// nothing checks that there is nothing to pick, and why.
func (r *rig) nothing(kind fault.Kind, words ...string) {
	r.t.Helper()
	e, err := r.Pick(&balance.Request{})
	if e != nil || fault.Of(err).Kind != kind {
		r.t.Fatalf("picked %v, %v: want a %v", e, err, kind)
	}
	for _, word := range append(words, "cluster web") {
		if !strings.Contains(err.Error(), word) {
			r.t.Errorf("%q does not say %q", err, word)
		}
	}
}

// What the source delivers takes the place of what there was, and an endpoint that
// stays is the same as before.
func TestSourceDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFed(t, Options{})
		synctest.Wait()
		r.nothing(fault.Undiscovered, "no endpoint yet", "Consul has not answered")
		if r.isReady() {
			t.Error("it is ready before its source has answered")
		}
		r.found("a:1", "b:1")
		r.wantPicked("a:1", "b:1")
		if !r.isReady() || !r.Ready(context.Background()) {
			t.Error("its source has answered, and it is not ready")
		}
		r.wantLog([]string{"endpoints changed", "endpoints=2", `added="[a:1 b:1]"`, "removed=[]"})

		a, b := r.endpoint("a:1"), r.endpoint("b:1")
		b.Begin(r.shared.Now())
		r.found("c:1", "b:1")
		r.wantPicked("b:1", "c:1")
		r.wantLog([]string{"endpoints changed", "added=[c:1]", "removed=[a:1]"})
		if r.endpoint("b:1") != b || b.Load.Active() != 1 {
			t.Error("an endpoint that stays is another")
		}
		if !a.State().Removed || len(r.Connections(Default).Endpoints()) != 2 {
			t.Errorf("the group has %v", r.Connections(Default).Endpoints())
		}
		b.Answer(0, 0, true)
		b.End()

		r.found("b:1", "c:1", "b:1", "a:1", "c:1")
		r.wantPicked("a:1", "b:1", "c:1")
		r.wantLog([]string{"added=[a:1]", "removed=[]", "endpoints=3"})
		if r.endpoint("a:1") == a || len(r.Status().Endpoints) != 3 || len(r.Connections(Default).Endpoints()) != 3 {
			t.Errorf("one that comes back is new, and one named twice is one: %v", r.Connections(Default).Endpoints())
		}

		r.found("b:1", "c:1", "a:1")
		r.wantLog() // nothing has come or gone
		r.found()
		r.nothing(fault.NoHealthy, "has no endpoint")
		r.logged()
		r.deliver(discovery.Update{Missing: true})
		r.nothing(fault.NoCluster, "no such service in Consul")
		if s := r.Status(); !s.Source.Missing || s.Source.Updates != 6 {
			t.Errorf("status %+v", s.Source)
		}
		r.found("a:1")
		r.wantPicked("a:1")
	})
}

// What the source says of an endpoint that stays counts from then on.
func TestSourceChangesItsMind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFed(t, Options{})
		r.found("a:1", "b:1")
		endpoints := at("a:1", "b:1")
		endpoints[0].Weight, endpoints[0].Priority = 3, 1
		endpoints[0].Locality = discovery.Locality{Region: "north", Zone: "n1"}
		endpoints[0].Metadata = map[string]string{"v": "2"}
		r.deliver(discovery.Update{Endpoints: endpoints})
		r.wantPicked("b:1")
		s := r.status("a:1")
		if s.Weight != 3 || s.Priority != 1 || s.Region != "north" || s.Zone != "n1" || s.Metadata["v"] != "2" {
			t.Errorf("status %+v", s)
		}
	})
}

// A source that fails empties nothing, and is told of once.
func TestSourceFails(t *testing.T) {
	down := errors.New("connection refused by 127.0.0.1:8500")
	synctest.Test(t, func(t *testing.T) {
		r := newFed(t, Options{})
		r.deliver(discovery.Update{Err: down})
		r.nothing(fault.Undiscovered, "has no endpoint: "+down.Error())
		if !r.isReady() {
			t.Error("nobody is to wait for a source that fails")
		}
		r.wantLog([]string{"level=WARN", "none is known yet", down.Error(), "source=Consul"})
		if s := r.Status().Source; !s.Stale || s.Error != down.Error() || s.Since == nil || s.Updated != nil || s.Updates != 0 || s.Errors != 1 {
			t.Errorf("status %+v", s)
		}
		r.pass(time.Minute)
		r.deliver(discovery.Update{Err: errors.New("another")})
		r.wantLog()

		r.found("a:1")
		r.wantLog([]string{"level=INFO", "is there again", "after=1m0s"}, []string{"endpoints changed"})
		if s := r.Status().Source; s.Stale || s.Error != "" || s.Since != nil || s.Updated == nil || s.Updates != 1 || s.Errors != 2 {
			t.Errorf("status %+v", s)
		}
		a := r.endpoint("a:1")

		r.deliver(discovery.Update{Err: down, Endpoints: at("a:1")})
		first := r.Status().Source
		since := *first.Since
		r.pass(time.Second)
		r.deliver(discovery.Update{Err: down}) // not what a source should do
		r.wantPicked("a:1")
		if s := r.Status().Source; r.endpoint("a:1") != a || !s.Stale || !s.Since.Equal(since) || s.Updates != 1 || s.Errors != 4 {
			t.Errorf("status %+v", s)
		}
		r.wantLog([]string{"level=WARN", "the last that were known stay", "endpoints=1"})
		r.found("a:1")
		r.wantLog([]string{"is there again", "after=1s"})
		if !first.Since.Equal(since) {
			t.Error("what was told before has changed")
		}
	})
}

// That there is no such service is known as long as the source fails.
func TestMissingAndStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFed(t, Options{})
		r.deliver(discovery.Update{Missing: true})
		r.deliver(discovery.Update{Missing: true, Err: errors.New("down")})
		r.nothing(fault.NoCluster, "no such service in Consul")
	})
}

// What a source says of its own end is neither told nor done.
func TestSourceOfClosedCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFed(t, Options{})
		r.found("a:1", "b:1")
		r.logged()
		r.Close()
		r.update(discovery.Update{})
		r.wantLog()
		r.wantPicked("a:1", "b:1")
	})
}

// An endpoint that its source takes out gets nothing, in a panic least of all.
func TestPickFromUnwell(t *testing.T) {
	long := strings.Repeat("unwell ", 10_000)
	for _, tt := range []struct {
		name   string
		health []discovery.Health
		want   []string // picked; or else
		words  []string
	}{
		{"unhealthy", []discovery.Health{discovery.Unhealthy}, nil, []string{"of 1: e0:1 is unhealthy in Consul"}},
		{"draining", []discovery.Health{discovery.Draining}, nil, []string{"of 1: e0:1 is taken out of service in Consul"}},
		{"both", []discovery.Health{discovery.Draining, discovery.Unhealthy}, nil, []string{"e0:1 is taken out", "e1:1 is unhealthy"}},
		{"many", make([]discovery.Health, 1000), nil, []string{"of 1000: ", "e2:1 is unhealthy in Consul ..."}},
		{"one is well", []discovery.Health{discovery.Unhealthy, discovery.Healthy, discovery.Draining}, []string{"e1:1"}, nil},
		{"degraded alone", []discovery.Health{discovery.Unhealthy, discovery.Degraded}, []string{"e1:1"}, nil},
		{"degraded besides", []discovery.Health{discovery.Degraded, discovery.Healthy, discovery.Healthy, discovery.Healthy}, []string{"e1:1", "e2:1", "e3:1"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newFed(t, Options{Balance: balance.Options{PanicThreshold: 50, Overprovisioning: 1.4}})
				var endpoints []discovery.Endpoint
				for i, h := range tt.health {
					if len(tt.health) > 100 {
						h = discovery.Unhealthy
					}
					endpoints = append(endpoints, discovery.Endpoint{Address: fmt.Sprintf("e%d:1", i), Weight: 1, Health: h})
				}
				r.deliver(discovery.Update{Endpoints: endpoints})
				if tt.want == nil {
					r.nothing(fault.NoHealthy, tt.words...)
					return
				}
				r.wantPicked(tt.want...)
			})
		})
	}
	t.Run("an error of any length", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newFed(t, Options{})
			r.deliver(discovery.Update{Err: errors.New(long)})
			if _, err := r.Pick(&balance.Request{}); len(err.Error()) > 2*mostSaid {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	})
}

// TestWeightOfZero: an endpoint that its source gives a weight of 0 gets no requests,
// by no policy, not as the last resort of a retry, and not in a panic.
func TestWeightOfZero(t *testing.T) {
	for _, policy := range []balance.Policy{
		balance.PolicyRoundRobin, balance.PolicyLeastRequest, balance.PolicyRandom,
		balance.PolicyRingHash, balance.PolicyMaglev, balance.PolicyPeakEWMA,
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newFed(t, Options{Balance: balance.Options{Policy: policy, PanicThreshold: 50}})
			none := discovery.Endpoint{Address: "none:1", Weight: 0, Health: discovery.Degraded}
			r.deliver(discovery.Update{Endpoints: []discovery.Endpoint{none, {Address: "a:1", Weight: 1}, {Address: "b:1", Weight: 1}}})
			r.wantPicked("a:1", "b:1")
			r.deliver(discovery.Update{Endpoints: []discovery.Endpoint{none, {Address: "a:1", Weight: 1}}})
			r.wantPicked("a:1")
			e, err := r.Pick(&balance.Request{Tried: []*balance.Load{r.endpoint("a:1").Load}})
			if err != nil || e.Address != "a:1" {
				t.Errorf("policy %v: tried again at %v, %v", policy, e, err)
			}
			r.deliver(discovery.Update{Endpoints: []discovery.Endpoint{none}})
			r.nothing(fault.NoHealthy, "none:1 is of weight 0 in Consul")
			if s := r.Status(); s.Endpoints[0].Weight != 0 {
				t.Errorf("policy %v: %+v", policy, s.Endpoints[0])
			}
		})
	}
}
