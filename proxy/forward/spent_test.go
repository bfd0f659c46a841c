package forward

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopscope/hopscope/telemetry/active"
	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/headers"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// TestCallWithoutTime: a call that had no time left is not at fault if it runs out of it,
// but what had used the time up: a failure, even one that the service behind a call
// recovered from, or the service that calls.
func TestCallWithoutTime(t *testing.T) {
	const (
		failed    = `Proxy-Status: web;hopscope-failed-hop="stock";hopscope-failed-kind=upstream_timeout;details="UT response_timeout: it hangs"`
		recovered = failed + `;hopscope-recovered;hopscope-took=1500`
	)
	stock := hop.Failure{Origin: hop.OriginRelayed, Hop: "stock", Kind: "upstream_timeout"}
	web := hop.Failure{Origin: hop.OriginProxy, Hop: "web", Caller: "shop", Kind: "upstream_timeout", Part: hop.PartApplication, Endpoint: "ADDRESS"}
	shop := hop.Failure{Origin: hop.OriginProxy, Hop: "shop", Kind: diagnose.KindNoTimeLeft, Part: hop.PartApplication}
	for _, tt := range []struct {
		name   string
		expect string        // how long the caller of shop waits, "" for the 2 s of the route
		before behaviour     // a call of shop; none if it takes no time
		after  time.Duration // the call begins, from the end of that one
		want   hop.Failure
		reason string
	}{
		{"a call had failed", "", behaviour{after: 1500 * ms, status: 504, says: failed}, 0, stock,
			"web had only 475ms of 2s left when it was called: before that, a call had failed after 1.5s: it hangs"},
		{"a call had recovered from a failure", "", behaviour{after: 1600 * ms, status: 200, says: recovered}, 0, stock,
			"web had only 380ms of 2s left when it was called: before that, a call had failed after 1.5s: it hangs"},
		{"a call had taken long, and done well", "", behaviour{after: 1850 * ms, status: 200}, 0, shop,
			"web had only 140ms of 2s left when it was called: shop had used the rest"},
		{"a failure had taken little of it", "", behaviour{after: 500 * ms, status: 504, says: failed}, 1350 * ms, shop,
			"web had only 140ms of 2s left when it was called: shop had used the rest"},
		{"there was time", "", behaviour{after: 600 * ms, status: 504, says: failed}, 0, web, ""},
		{"there was enough to be at fault", "", behaviour{}, 1600 * ms, web, ""},
		{"a call that began before has failed since", "", behaviour{after: 1500 * ms, status: 504, says: failed}, -50 * ms, web, ""},
		{"there was little for shop itself", "x-envoy-expected-rq-timeout-ms: 200", behaviour{}, 150 * ms, shop,
			"web had only 30ms of 2s left when it was called: shop itself had been given only 190ms, and had used most of that"},
		{"there was little, and web had most of it", "x-envoy-expected-rq-timeout-ms: 200", behaviour{}, 10 * ms, web, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSpending(t)
				request := new(caller)
				go r.serve(hop.Inbound, behaviour{silent: true}, request, tt.expect)
				synctest.Wait() // it is under way
				if tt.before.after > 0 {
					go r.serve(hop.Outbound, tt.before, new(caller), "")
				}
				time.Sleep(tt.before.after + tt.after)
				synctest.Wait()
				call := new(caller)
				r.serve(hop.Outbound, behaviour{silent: true}, call, "")
				got := call.hop.Failure
				got.Endpoint = address.ReplaceAllString(got.Endpoint, "ADDRESS")
				if reason := got.Reason; tt.reason != "" && reason != tt.reason {
					t.Errorf("the reason is %q, want %q", reason, tt.reason)
				}
				if got.Reason = ""; got != tt.want {
					t.Errorf("got  %+v\nwant %+v", got, tt.want)
				}
				time.Sleep(8 * time.Second)
				synctest.Wait()
				mostly := tt.before.says != "" && tt.before.after >= time.Second // what failed took at least half of it
				if request.hop.Failure.Hop == "stock" != mostly {
					t.Errorf("the request to shop failed by %+v", request.hop.Failure)
				}
			})
		})
	}
}

// TestRecovered: a request that goes well although a call failed says which, and how long
// that took. It has not failed.
func TestRecovered(t *testing.T) {
	const named = `hopscope-failed-hop="web";hopscope-failed-part=application;hopscope-failed-kind=upstream_timeout;hopscope-failed-caller="shop";hopscope-failed-endpoint="ADDRESS"`
	for _, tt := range []struct {
		name string
		call behaviour // takes 2 s at most
		want string    // the Proxy-Status of the response
	}{
		{"nothing failed", behaviour{status: 200}, "shop"},
		{"a call failed", behaviour{silent: true}, `shop;hopscope-recovered;hopscope-took=1900;details="recovered: ADDRESS did not answer within 1.9s, which is what the caller waits, less a margin";` + named},
		{"a call had recovered", behaviour{status: 200, says: "Proxy-Status: web;hopscope-recovered;hopscope-took=90;details=\"recovered: it hangs\";" + strings.ReplaceAll(named, "web", "stock")},
			`shop;hopscope-recovered;hopscope-took=90;details="recovered: it hangs";` + strings.ReplaceAll(named, "web", "stock")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSpending(t)
				request := new(caller)
				go r.serve(hop.Inbound, behaviour{after: 1990 * ms, status: 200}, request, "")
				synctest.Wait() // it is under way
				call := new(caller)
				r.serve(hop.Outbound, tt.call, call, "")
				time.Sleep(8 * time.Second)
				synctest.Wait()
				h := request.hop
				if h.Failed() || h.Failure != (hop.Failure{}) || request.status != 200 {
					t.Errorf("the request ended with %d: %+v", h.Status, h.Failure)
				}
				if got := h.Recovered != nil; got != (tt.want != "shop") {
					t.Errorf("recovered from %+v", h.Recovered)
				}
				if got := address.ReplaceAllString(request.value("proxy-status"), "ADDRESS"); got != tt.want {
					t.Errorf("it says %q\nwant    %q", got, tt.want)
				}
				if call.status == 200 && call.hop.Failed() {
					t.Errorf("the call failed: %+v", call.hop.Failure)
				}
			})
		})
	}
}

// TestRecoveredOfOneRequest: of two requests of a trace at once, only the one whose call
// failed says so.
func TestRecoveredOfOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSpending(t)
		requests := [2]caller{}
		for i := range requests {
			go r.serve(hop.Inbound, behaviour{after: 1990 * ms, status: 200}, &requests[i], "")
			synctest.Wait()
			if i == 0 {
				r.parent = r.bubble.last().Get("Traceparent")[36:52]
			}
		}
		r.serve(hop.Outbound, behaviour{silent: true}, new(caller), "")
		time.Sleep(8 * time.Second)
		synctest.Wait()
		if one, other := requests[0].hop.Recovered, requests[1].hop.Recovered; one == nil || one.Hop != "web" || other != nil {
			t.Errorf("one has recovered from %+v, the other from %+v", one, other)
		}
	})
}

// spending is the proxy of a service, shop, which takes a request and calls web for it.
type spending struct {
	t      *testing.T
	table  *active.Table
	causes *diagnose.Causes
	parent string    // the span that requests come with
	bubble *inBubble // that served the latest
}

func newSpending(t *testing.T) *spending {
	return &spending{t: t, table: new(active.Table), causes: diagnose.NewCauses(8), parent: "00f067aa0ba902b7"}
}

// serve serves a request of the one trace that there is. Its route has 2 s.
func (r *spending) serve(d hop.Direction, does behaviour, c *caller, field string) {
	b := newInBubble(r.t, does)
	r.bubble = b
	b.target.Labels = &hop.Labels{Service: "shop", Direction: d, Cluster: "web"}
	b.target.Own = d == hop.Inbound
	b.action.Timeout = 2 * time.Second
	b.change = func(f *Forwarder) {
		own := *margins
		own.Inherit = true
		f.Deadlines, f.UnderWay, f.Causes = &own, r.table, r.causes
		f.ProxyStatus, f.ProxyStatusMode = headers.NewProxyStatus("shop"), Append
	}
	fields := []string{"traceparent: 00-0af7651916cd43dd8448eb211c80319c-" + r.parent + "-01"}
	if field != "" {
		fields = append(fields, field)
	}
	b.serve(c, fields...)
}

// value is the value of the last field of that name in the response.
func (c *caller) value(name string) (value string) {
	for _, field := range c.fields {
		if n, v, _ := strings.Cut(field, ": "); strings.EqualFold(n, name) {
			value = v
		}
	}
	return value
}
