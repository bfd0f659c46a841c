package snapshot_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/hopscope/hopscope/mesh/series"
	"github.com/hopscope/hopscope/mesh/top"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestSeries: the history of a proxy has its requests by window, with whose fault failures
// were, and the history of a mesh of one proxy has the same.
func TestSeries(t *testing.T) {
	proxytest.NoLeaks(t)
	address := proxytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/broken" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	rig := proxytest.StartConfig(t, proxytest.NewConfig(t, address, func(c *config.Config) {
		c.Admin.Address = "127.0.0.1:0"
		c.Listeners[0].Routes[0].Name = "all"
		c.Listeners[0].Routes[0].SlowThreshold = time.Nanosecond
	}))
	for _, path := range []string{"/", "/broken", "/"} {
		rig.AskHost("shop", path)
	}
	proxytest.Eventually(t, "all requests are counted", func() bool {
		var counts top.Counts
		rig.FlushViews()
		rig.AdminJSON("/v1/top", &counts)
		return len(counts.Edges) == 1 && counts.Edges[0].Requests == 3
	})
	rig.Sample(time.Now()) // of the window before this one

	var part series.Part
	rig.AdminJSON("/v1/series?since=1h", &part)
	sum := func(all []uint32) (n uint32) {
		for _, m := range all {
			n += m
		}
		return n
	}
	check := func(what string, lines []series.Line, requests, failed uint32) {
		t.Helper()
		if len(lines) != 1 || sum(lines[0].Requests) != requests || sum(lines[0].Failed) != failed {
			t.Fatalf("%d %s, of the first %d requests and %d failures, want %d and %d", len(lines), what, sum(lines[0].Requests), sum(lines[0].Failed), requests, failed)
		}
		if timed := sum(slices.Concat(lines[0].Durations...)); timed != requests {
			t.Errorf("%s: %d durations", what, timed)
		}
	}
	check("edges", part.Edges, 3, 1)
	check("routes", part.Routes, 3, 1)
	check("blamed", part.Blamed, 0, 1)
	edge, route, blamed := &part.Edges[0], &part.Routes[0], &part.Blamed[0]
	if part.Service != "web" || part.Windows != series.Windows || edge.Direction != "inbound" || edge.Callee != "" || sum(edge.Slow) != 3 ||
		route.Route != "all" || route.Method != "GET" || blamed.Callee != "web" || part.Full {
		t.Errorf("%s, %d windows, edge %s to %q with %d slow, route %s %s, blamed %s", part.Service, part.Windows, edge.Direction, edge.Callee, sum(edge.Slow), route.Method, route.Route, blamed.Callee)
	}

	var table series.Table
	if status := rig.AdminJSON("/v1/mesh/series?since=1h", &table); status != 200 {
		t.Errorf("status %d", status)
	}
	if status := rig.AdminJSON("/v1/series?until=1", new(any)); status != 400 {
		t.Errorf("status %d of an unknown parameter", status)
	}
}
