package cluster

import (
	"testing"
	"testing/synctest"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/healthcheck"
)

// TestFirstSinceItCameUp: the first request to an endpoint that is known to have come up is
// told from others. What was there when the cluster began may have been there for long.
func TestFirstSinceItCameUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFed(t, Options{})
		synctest.Wait()
		first := func(what, address string, want bool) {
			t.Helper()
			e := r.endpoint(address)
			for i := range 2 {
				if got := e.Begin(r.shared.Now()); got != (want && i == 0) {
					t.Errorf("%s: request %d is the first: %t", what, i+1, got)
				}
			}
		}
		r.found("a:1")
		first("the first answer of the source", "a:1", false)
		r.found("a:1", "b:1")
		first("it was there before", "a:1", false)
		first("it is new", "b:1", true)
		unwell := at("a:1", "b:1")
		unwell[0].Health = discovery.Unhealthy
		r.deliver(discovery.Update{Endpoints: unwell})
		first("it is not well", "a:1", false)
		r.found("a:1", "b:1")
		first("it is well again", "a:1", true)
		r.endpoint("a:1").Down()
		first("nothing had listened", "a:1", true)
		r.checked(r.endpoint("a:1"), healthcheck.Report{Health: healthcheck.Unhealthy})
		first("a check fails", "a:1", false)
		r.checked(r.endpoint("a:1"), healthcheck.Report{Health: healthcheck.Healthy})
		first("a check passes again", "a:1", true)
		r.checked(r.endpoint("a:1"), healthcheck.Report{Health: healthcheck.Healthy})
		first("and again", "a:1", false)
	})
}
