package live_test

import (
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// Instances come, go, fail and flap in Consul: traffic follows, and no request fails.
func TestLiveFollowsConsul(t *testing.T) {
	proxytest.NoLeaks(t)
	consul := startAgent(t, backends.ConsulOptions{})
	b := startBackends(t, 3)
	consul.add(b[:2]...)
	l := startLive(t, 2, consul.web(""))
	l.begin("GET")
	changing := b[2]
	add, remove := func() { consul.add(changing) }, func() { consul.remove(changing) }
	set := func(status string) func() { return func() { consul.set(changing, status) } }

	var took []time.Duration
	took = append(took, l.follows("registered", changing.address, add))
	l.leaves("critical", changing.address, set(api.HealthCritical))
	took = append(took, l.follows("passing again", changing.address, set(api.HealthPassing)))
	l.leaves("in maintenance", changing.address, func() {
		if err := consul.API(t).Agent().EnableServiceMaintenance(changing.address, "by a test"); err != nil {
			t.Error(err)
		}
	})
	took = append(took, l.follows("out of maintenance", changing.address, func() {
		if err := consul.API(t).Agent().DisableServiceMaintenance(changing.address); err != nil {
			t.Error(err)
		}
	}))
	l.leaves("deregistered", changing.address, remove)

	flap := func(n int, on, off func()) {
		for range n {
			on()
			l.load.pass(30 * time.Millisecond)
			off()
			l.load.pass(30 * time.Millisecond)
		}
	}
	l.leaves("flapped by registration", changing.address, func() { flap(20, add, remove) })
	took = append(took, l.follows("registered after that", changing.address, add))
	l.leaves("flapped by health", changing.address, func() { flap(20, set(api.HealthPassing), set(api.HealthCritical)) })
	took = append(took, l.follows("passing after that", changing.address, set(api.HealthPassing)))

	l.faultless()
	slices.Sort(took)
	t.Logf("from Consul's answer to the change to the first routed request: %s", took)
}

// Weights in Consul are the endpoints' shares, and change with them.
func TestLiveWeightsOfConsul(t *testing.T) {
	proxytest.NoLeaks(t)
	consul := startAgent(t, backends.ConsulOptions{})
	b := startBackends(t, 2)
	consul.add(b[0])
	consul.weigh(b[1], 3)
	l := startLive(t, 2, consul.web(""))
	l.begin("GET")
	for _, weight := range []int{3, 9, 1} {
		consul.weigh(b[1], weight)
		l.becomes("the weight being known", func(s cluster.Status) bool { return endpointOf(s, b[1].address).Weight == float64(weight) })
		// Counted where they arrive, which what is late on its way back does not distort.
		var got [2]float64
		from := [2]int64{b[0].got.Load(), b[1].got.Load()}
		proxytest.Eventually(t, "a thousand requests", func() bool {
			got = [2]float64{float64(b[0].got.Load() - from[0]), float64(b[1].got.Load() - from[1])}
			return got[0]+got[1] > 1000
		})
		share, want := got[1]/(got[0]+got[1]), float64(weight)/float64(weight+1)
		if math.Abs(share-want) > 0.03 {
			t.Errorf("an endpoint of weight %d beside one of 1 gets %.3f of the requests, want %.3f", weight, share, want)
		}
	}
	l.faultless()
}

// absence is how long Consul stays away.
const absence = 30 * time.Second

// Consul dies, stays away, comes back without anything that it knew, and is filled
// again: no request fails, and there are endpoints all the time.
func TestLiveOutlivesConsul(t *testing.T) {
	proxytest.NoLeaks(t)
	consul := startAgent(t, backends.ConsulOptions{})
	b := startBackends(t, 3)
	consul.add(b...)
	l := startLive(t, 3, consul.web(""))
	l.begin("GET")

	var least atomic.Int64 // as many endpoints there are to be
	least.Store(3)
	stop := l.watching(func(s cluster.Status) {
		if n := healthy(s); n < int(least.Load()) || s.Source.Missing {
			t.Errorf("the cluster has %d endpoints that are well, missing: %t, %s", n, s.Source.Missing, s.Source.Error)
		}
	})
	defer stop()
	consul.Kill()
	l.becomes("stale", func(s cluster.Status) bool { return s.Source.Stale })
	l.load.pass(absence)
	if s := l.status(); !s.Source.Stale || s.Source.Since == nil || time.Since(*s.Source.Since) < absence/2 {
		t.Errorf("after %s without Consul: %+v", absence, s.Source)
	}
	proxytest.Same(t, "hopscope_discovery_stale", l.Scrape().Sum("hopscope_discovery_stale", "cluster", "web", "source", "Consul"), 1)

	consul.Restart(t)
	back := l.load.now()
	l.becomes("an empty Consul that is not believed", func(s cluster.Status) bool {
		return s.Source.Stale && strings.Contains(s.Source.Error, "came back without")
	})
	t.Logf("Consul was asked %s after it was back", l.load.now()-back)
	l.load.pass(2 * time.Second)
	proxytest.Same(t, "endpoints while Consul is empty", healthy(l.status()), 3)

	least.Store(1) // what is registered first is believed
	consul.add(b...)
	l.becomes("fresh again", func(s cluster.Status) bool { return !s.Source.Stale && healthy(s) == 3 })
	proxytest.Same(t, "hopscope_discovery_stale", l.Scrape().Sum("hopscope_discovery_stale", "cluster", "web", "source", "Consul"), 0)
	least.Store(2)
	l.leaves("deregistered after that", b[2].address, func() { consul.remove(b[2]) })
	stop()
	l.faultless()
	for _, words := range []string{"the source of endpoints fails", "the source of endpoints is there again"} {
		if !strings.Contains(l.Said.String(), words) {
			t.Errorf("the log does not say that %s", words)
		}
	}
}
