package diagnose

import (
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// TestDeadlineInversion: a timeout that ran out is compared with those below it.
func TestDeadlineInversion(t *testing.T) {
	within := func(h *hop.Hop, timeout time.Duration) *hop.Hop {
		h.Timeout = timeout
		return h
	}
	// web asks orders, which asks stock, which answers after 80 ms.
	request := func(web, orders, toStock, stock time.Duration) []*hop.Hop {
		return []*hop.Hop{
			answers500(in("web", 1, 0, 0, 53, 500)), within(timedOut(out("web", "orders", 3, 2, 1, 51.2, 504)), web),
			within(in("orders", 5, 4, 2, 84, 200), orders), within(out("orders", "stock", 7, 6, 3, 83, 200), toStock),
			within(in("stock", 9, 8, 4, 82, 200), stock),
		}
	}
	const none = ""
	cases := []struct {
		name string
		hops []*hop.Hop
		want string
	}{
		{"the callee may take longer", request(50*ms, time.Second, time.Second, time.Second),
			"deadline inversion: web waits 50.0 ms for orders, but the application of orders may take 1.00 s (this time it answered 200 after 82.0 ms): " +
				"raise the timeout of web above that, or set that of orders below 50.0 ms"},
		{"what the callee calls may", request(50*ms, 40*ms, time.Second, time.Second),
			"web waits 50.0 ms for orders, but a call of stock by orders may take 1.00 s"},
		{"a service farther away may", request(50*ms, 40*ms, 30*ms, time.Second),
			"web waits 50.0 ms for orders, but the application of stock may take 1.00 s"},
		{"the same everywhere", request(50*ms, 50*ms, 50*ms, 50*ms), none},
		{"no timeouts are known", request(0, 0, 0, 0), none},
		{"the caller allowed less than its route", request(15*time.Second, 14*time.Second, 0, 0),
			"web waits 50.0 ms for orders, but the application of orders may take 14.00 s"},
		{"the caller had said how long it waits", []*hop.Hop{
			answers500(in("web", 1, 0, 0, 53, 500)), within(answers500(out("web", "stock", 3, 2, 1, 49, 500)), 50*ms),
			within(timedOut(in("stock", 5, 4, 2, 48, 504)), time.Second)},
			"deadline inversion: web waits 50.0 ms for stock, but the application of stock may take 1.00 s: " +
				"raise the timeout of web above that, or set that of stock below 50.0 ms"},
		{"the same everywhere, and the caller had said so", []*hop.Hop{
			answers500(in("web", 1, 0, 0, 53, 500)), within(answers500(out("web", "stock", 3, 2, 1, 49, 500)), 50*ms),
			within(timedOut(in("stock", 5, 4, 2, 48, 504)), 50*ms)}, none},
		{"within a service", []*hop.Hop{
			within(timedOut(in("web", 1, 0, 0, 50.2, 504)), 50*ms), within(cut(out("web", "stock", 3, 2, 1, 49, 0)), time.Second)},
			"web waits 50.0 ms for its application, but a call of stock by web may take 1.00 s"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := Build(traceID, tc.hops).Culprit
			got := strings.Join(c.Evidence, "\n")
			if c.Service != "stock" || c.Kind != "upstream_timeout" {
				t.Errorf("the culprit is %s", c)
			}
			if tc.want == none && strings.Contains(got, "inversion") || !strings.Contains(got, tc.want) {
				t.Errorf("the evidence is %q, want %q", got, tc.want)
			}
		})
	}
}
