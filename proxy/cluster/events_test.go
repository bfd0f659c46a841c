package cluster

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/healthcheck"
	"github.com/hopscope/hopscope/proxy/outlier"
	"github.com/hopscope/hopscope/telemetry/events"
)

// TestEvents: what happens to endpoints is noted, each thing once.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var noted []string
		o := outlier.Defaults()
		o.MaxEjectionPercent = 100
		r := newFed(t, Options{
			Outlier: &o, Balance: balance.Options{PanicThreshold: 50, Overprovisioning: 1.4},
			Note: func(kind events.Kind, endpoint, text string) {
				noted = append(noted, fmt.Sprintf("%s [%s] %s", kind, endpoint, text))
			},
		})
		want := func(lines ...string) {
			t.Helper()
			r.mu.Lock()
			defer r.mu.Unlock()
			if diff := cmp.Diff(lines, noted); diff != "" {
				t.Error("(-want +got):\n" + diff)
			}
			noted = nil
		}
		r.found("a:1", "b:1")
		r.found("b:1", "a:1")
		want("endpoints_changed [] the endpoints of cluster web changed: added a:1, b:1; 2 now")
		ill := discovery.Update{Endpoints: at("a:1", "b:1")}
		ill.Endpoints[0].Health, ill.Endpoints[0].Why = discovery.Unhealthy, "disk full"
		r.deliver(ill)
		r.deliver(ill)
		r.found("a:1")
		want("endpoint_unhealthy [a:1] a:1 of cluster web is unhealthy in Consul (disk full)",
			"endpoints_changed [] the endpoints of cluster web changed: removed b:1; 1 now", "endpoint_healthy [a:1] a:1 of cluster web is healthy in Consul")

		r.deliver(discovery.Update{Err: errors.New("no leader")})
		r.deliver(discovery.Update{Err: errors.New("no leader")})
		r.pass(3 * time.Second)
		r.found("a:1")
		want("discovery_failing [] Consul can't be asked for cluster web: no leader", "discovery_back [] Consul answers again for cluster web, after 3s")

		r.fail(r.endpoint("a:1"), 5)
		r.picked(100)
		want("endpoint_ejected [a:1] a:1 of cluster web was ejected: 5 failures in a row, ejected for 30s",
			"panic_routing [] fewer than 50 % of the endpoints of cluster web are healthy, so that all are used, those that are not well too")
		r.pass(31 * time.Second)
		for _, action := range []Action{Drain, Restore} {
			if err := r.Act("a:1", action); err != nil {
				t.Fatal(err)
			}
		}
		want("endpoint_restored [a:1] a:1 of cluster web gets requests again: its ejection time is over",
			"endpoint_ejected [a:1] a:1 of cluster web was drained by hand", "endpoint_restored [a:1] a:1 of cluster web was restored by hand")

		e := r.endpoint("a:1")
		for _, h := range []healthcheck.Health{healthcheck.Unhealthy, healthcheck.Healthy} {
			r.checked(e, healthcheck.Report{Health: h, Changed: true, Detail: "it said so"})
		}
		want("endpoint_unhealthy [a:1] a:1 of cluster web is unhealthy: it said so", "endpoint_healthy [a:1] a:1 of cluster web is healthy: it said so")
	})
}
