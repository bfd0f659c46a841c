package routing_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// shownGuard is what the admin API says of a guard.
type shownGuard struct {
	Listener, Route, Canary, Reason string
	Weight                          int
	Tripped                         bool
	Observed                        struct {
		Stable, Canary struct{ Requests, Failed int }
	}
}

func (x *rig) guard(t *testing.T) shownGuard {
	t.Helper()
	var all []shownGuard
	if status := x.AdminJSON("/routes/cart/guard", &all); status != http.StatusOK || len(all) != 1 {
		t.Fatalf("status %d, guards %+v", status, all)
	}
	return all[0]
}

// A canary that is worse than the other targets is taken back, and everything says so. It
// stays back until somebody resets the guard, or a reload changes the route.
func TestGuard(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		x := k.start(t, `
- name: cart
  split: [{cluster: a, weight: 50}, {cluster: b, weight: 50}]
  guard: {canary: b, min_requests: 20, max_p99_over_stable: 0, window: 10m}
`)
		fail := func() {
			t.Helper()
			proxytest.Eventually(t, "the guard tripping", func() bool {
				for range 20 {
					x.ask(t, "GET http://web.test/", "X-Fail: b")
				}
				return x.guard(t).Tripped
			})
		}
		back := func(what string) {
			t.Helper()
			if where := x.counts(t, 50); where["a"] != 50 {
				t.Errorf("%s: requests went to %v", what, where)
			}
		}
		there := func(what string) {
			t.Helper()
			if where := x.counts(t, 100); where["a"] == 0 || where["b"] == 0 { // 2^-99
				t.Errorf("%s: requests went to %v", what, where)
			}
		}
		there("before")
		metric := func() float64 {
			return x.Scrape().Sum("hopscope_guard_tripped", "route", "cart", "variant", "b", "listener", "ingress")
		}
		proxytest.Same(t, "metric before", metric(), 0)
		fail()
		back("the guard has tripped")
		g := x.guard(t)
		proxytest.Same(t, "what is shown", fmt.Sprint(g.Listener, g.Route, g.Canary, g.Weight, g.Tripped), fmt.Sprint("ingress", "cart", "b", 0, true))
		if !strings.Contains(g.Reason, "requests failed") || g.Observed.Canary.Failed == 0 || g.Observed.Stable.Failed > 0 || g.Observed.Stable.Requests < 20 {
			t.Errorf("the guard says %+v", g)
		}
		proxytest.Same(t, "metric", metric(), 1)
		if said := x.Said.String(); strings.Count(said, "the canary of a route is worse") != 1 || !strings.Contains(said, "canary=b") {
			t.Errorf("the log says %s", said)
		}
		if text := x.Admin("/v1/events", ""); !strings.Contains(text, "guard_tripped") || !strings.Contains(text, "the canary b of route cart has weight 0 now, in place of 50") {
			t.Errorf("events: %s", text)
		}

		reload := func(change func(*config.Config, *config.Route)) {
			c := *x.Config()
			c.Listeners = slices.Clone(c.Listeners)
			l := &c.Listeners[0]
			l.Routes = slices.Clone(l.Routes)
			l.Routes[0].Split = slices.Clone(l.Routes[0].Split)
			change(&c, &l.Routes[0])
			x.MustReload(&c)
		}
		reload(func(c *config.Config, r *config.Route) { c.Drain.Timeout++; r.Timeout++ })
		back("a reload changed something else")

		if status, body := x.Call(http.MethodPost, "http://"+x.AdminAddr().String()+"/routes/cart/guard/reset", ""); status != http.StatusOK || !strings.Contains(body, `"tripped": false`) {
			t.Errorf("reset: %d, %s", status, body)
		}
		there("the guard was reset")
		proxytest.Same(t, "metric", metric(), 0)
		if text := x.Admin("/v1/events", ""); !strings.Contains(text, "guard_reset") {
			t.Errorf("events: %s", text)
		}

		fail()
		back("the guard has tripped again")
		reload(func(_ *config.Config, r *config.Route) { r.Split[1].Weight = 40 })
		there("a reload changed the weights")
		if status, _ := x.Call(http.MethodPost, "http://"+x.AdminAddr().String()+"/routes/none/guard/reset", ""); status != http.StatusNotFound {
			t.Errorf("a route that is none: %d", status)
		}
	})
}

// A canary that is as good as the others stays.
func TestGuardOfAGoodCanary(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		x := k.start(t, `
- name: cart
  split: [{cluster: a}, {cluster: b, variant: new}]
  guard: {canary: new, min_requests: 10, max_p99_over_stable: 0, window: 10m}
`)
		x.counts(t, 100)
		x.Settle()
		g := x.guard(t)
		proxytest.Same(t, "what is shown", fmt.Sprint(g.Canary, g.Weight, g.Tripped, g.Reason), fmt.Sprint("new", 1, false, ""))
		proxytest.Same(t, "requests", g.Observed.Canary.Requests+g.Observed.Stable.Requests, 100)
	})
}
