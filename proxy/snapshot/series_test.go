package snapshot_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/hopscope/hopscope/mesh/series"
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
	rig.FlushViews()
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
			t.Errorf("%s: %+v", what, lines)
		}
	}
	check("edges", part.Edges, 3, 1)
	check("routes", part.Routes, 3, 1)
	check("blamed", part.Blamed, 0, 1)
	if part.Service != "web" || part.Windows != series.Windows || part.Edges[0].Direction != "inbound" || part.Edges[0].Callee != "" || part.Routes[0].Route != "all" ||
		part.Routes[0].Method != "GET" || part.Blamed[0].Callee != "web" || sum(part.Edges[0].Slow) != 3 || part.Full {
		t.Errorf("%+v", part)
	}
	i := slices.IndexFunc(part.Edges[0].Requests, func(n uint32) bool { return n > 0 })
	if sum(part.Edges[0].Durations[i]) != 3 || sum(part.Routes[0].Durations[i]) != 3 {
		t.Errorf("durations of edges %v, of routes %v", part.Edges[0].Durations[i], part.Routes[0].Durations[i])
	}

	var table series.Table
	if status := rig.AdminJSON("/v1/mesh/series?since=1h", &table); status != 200 {
		t.Errorf("status %d", status)
	}
	if status := rig.AdminJSON("/v1/series?until=1", new(any)); status != 400 {
		t.Errorf("status %d of an unknown parameter", status)
	}
}
