package metrics

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/telemetry/hop"
)

func TestRouteCounts(t *testing.T) {
	m := New(Options{})
	l := labels("/", "app")
	l.Metrics = m.Series(l)
	seen := func(change func(*hop.Hop)) {
		h := &hop.Hop{Labels: l, Method: "GET", Status: 200, Start: began, End: 2 * time.Millisecond}
		change(h)
		m.Observe(h)
	}
	seen(func(*hop.Hop) {})
	seen(func(h *hop.Hop) { h.Status = 503 })
	seen(func(h *hop.Hop) { h.Status, h.Flags = 0, hop.UpstreamConnectionFailure })
	seen(func(h *hop.Hop) { h.Kind = hop.KindTunnel })
	seen(func(h *hop.Hop) {
		h.Method, h.GRPC, h.GRPCStatus, h.End = "POST", true, hop.GRPCStatusOf(14), time.Minute
	})
	seen(func(h *hop.Hop) { h.Template = "/learned" })
	got := map[string][3]uint64{}
	for _, c := range m.Routes() {
		timed := uint64(0)
		for _, n := range c.Durations {
			timed += n
		}
		got[c.Method+" "+c.Route] = [3]uint64{c.Requests, c.Failed, timed}
		if c.Method == "POST" && c.Durations[len(DurationBounds())] != 1 {
			t.Errorf("durations %v", c.Durations)
		}
	}
	if diff := cmp.Diff(map[string][3]uint64{"GET /": {4, 2, 3}, "POST /": {1, 1, 1}, "GET /learned": {1, 0, 1}}, got); diff != "" {
		t.Error("(-want +got):\n" + diff)
	}
}

func TestBlameCounts(t *testing.T) {
	m := New(Options{})
	l := labels("/", "app")
	for _, kind := range []string{"connect_refused", "connect_timeout"} {
		m.Observe(failing(l, hop.Failure{Origin: hop.OriginRelayed, Hop: "bank", Caller: "payments", Kind: kind}))
	}
	m.Observe(failing(l, hop.Failure{Origin: hop.OriginRelayed, Hop: "bank", Caller: "bank", Kind: "x"}))
	want := []BlameCount{{"bank", "", 1}, {"bank", "payments", 2}}
	if diff := cmp.Diff(want, m.Blamed()); diff != "" {
		t.Error("(-want +got):\n" + diff)
	}
}
