package admin

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/telemetry/active"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// underWay is a table with n hops. Each began a second after the one before.
func underWay(n int) *active.Table {
	table := new(active.Table)
	labels := &hop.Labels{Service: "web", Direction: hop.Outbound, Listener: "egress", Route: "stock", Cluster: "stock", Slow: 10 * time.Second}
	for i := range n {
		h := &hop.Hop{
			Labels: labels, Trace: hop.TraceID{14: byte(i >> 8), 15: byte(i)}, Span: hop.SpanID{1}, Method: "GET",
			Start: time.Now().Add(time.Duration(i-n) * time.Second), Routed: 1,
		}
		h.SetString(&h.Path, "/items/<17>")
		e := new(active.Entry)
		table.Enter(e, h, active.Limits{}, nil, hop.SpanID{2}, "127.0.0.1:4003")
		e.Wait(active.FirstByte, 2)
	}
	return table
}

func TestActiveHops(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Active = underWay(1200); o.Trace, o.Traces = nil, nil })
	type listed struct {
		Service  string `json:"service"`
		Path     string `json:"path"`
		WaitsFor string `json:"waits_for"`
		Endpoint string `json:"endpoint"`
		Duration int64  `json:"duration_ns"`
		Slow     bool   `json:"slow"`
	}
	for path, want := range map[string]int{
		"/hops?active=1": maxActive, "/hops?active=1&limit=3": 3, "/hops?active=1&slow=1": maxActive, "/hops?active=1&slow=0&limit=1000": maxActive,
	} {
		got := f.do("GET", path)
		var hops []listed
		if err := json.Unmarshal([]byte(got.body), &hops); err != nil || got.status != 200 || len(hops) != want {
			t.Fatalf("%s: status %d, %d hops, %v", path, got.status, len(hops), err)
		}
		first := hops[0]
		if d := time.Duration(first.Duration); d < 1200*time.Second || !first.Slow {
			t.Errorf("%s: the first has taken %s, slow: %t", path, d, first.Slow)
		}
		first.Duration = 0
		if first != (listed{Service: "web", Path: "/items/<17>", WaitsFor: "first_byte", Endpoint: "127.0.0.1:4003", Slow: true}) {
			t.Errorf("%s: the first is %+v", path, first)
		}
	}
	for _, path := range []string{"/hops?active=1&trace=1", "/hops?active=1&limit=0", "/hops?active=1&slow=very"} {
		if got := f.do("GET", path); got.status != 400 {
			t.Errorf("%s: status %d", path, got.status)
		}
	}
	page := f.do("GET", "/paths", "Accept: text/html").body
	for _, want := range []string{"Under way", "the endpoint&#39;s first byte, for", "/items/&lt;17&gt;", "127.0.0.1:4003"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestNothingUnderWay(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Active = new(active.Table) })
	if got := f.do("GET", "/hops?active=1"); got.status != 200 || strings.TrimSpace(got.body) != "[]" {
		t.Errorf("%v", got)
	}
	if got := f.do("GET", "/paths", "Accept: text/html"); !strings.Contains(got.body, "No request is under way.") {
		t.Errorf("the page says\n%s", got.body)
	}
}
