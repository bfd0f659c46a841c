package diagnose

import (
	"strings"
	"testing"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// copied makes the hop a copy of a request.
func copied(h *hop.Hop) *hop.Hop {
	h.Labels = &hop.Labels{Service: h.Labels.Service, Direction: hop.Mirror, Cluster: "shadow"}
	return h
}

// TestMirror: a copy of a request is shown below it, and no verdict goes by it, whatever
// becomes of it.
func TestMirror(t *testing.T) {
	slow := func(h *hop.Hop) *hop.Hop { h.Labels.Slow = millis(50); return h }
	dead := copied(refused(out("web", "shadow", 5, 2, 1, 90, 503), "10.0.0.9:80"))
	for _, tt := range []struct {
		name  string
		hops  []*hop.Hop
		where string // the culprit
		slow  string
	}{
		{"the copy fails", []*hop.Hop{in("web", 1, 0, 0, 100, 200), dead}, "", "web"},
		{"the copy's service fails", []*hop.Hop{in("web", 1, 0, 0, 100, 200), copied(out("web", "shadow", 5, 2, 1, 90, 500)), in("shadow", 7, 6, 2, 80, 500)}, "", "web"},
		{"both fail", []*hop.Hop{answers500(in("web", 1, 0, 0, 100, 500)), dead}, "web", "web"},
		{"the copy takes longer", []*hop.Hop{slow(in("web", 1, 0, 0, 100, 200)), copied(out("web", "shadow", 5, 2, 1, 900, 200))}, "", "web"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			trace := Build(traceID, tt.hops)
			got := ""
			if trace.Culprit != nil {
				got = trace.Culprit.Edge()
			}
			if got != tt.where || trace.Inner != nil || len(trace.Breaks) != 0 {
				t.Errorf("the culprit is %q, want %q; inner %v, breaks %v", got, tt.where, trace.Inner, trace.Breaks)
			}
			if got := trace.Slowest.Edge(); got != tt.slow {
				t.Errorf("the slowest is %q, want %q", got, tt.slow)
			}
			if len(trace.Roots) != 1 || trace.Hops != len(tt.hops) {
				t.Fatalf("%d roots, %d hops", len(trace.Roots), trace.Hops)
			}
			below := trace.Roots[0].Children[0].Children
			if len(below) != 1 || below[0].Hop.Labels.Direction != hop.Mirror || below[0].Start != ms {
				t.Errorf("%d hops are below the attempt", len(below))
			}
			if text := trace.Text(); !strings.Contains(text, "web → shadow (mirror)") {
				t.Errorf("it is not shown:\n%s", text)
			}
		})
	}
	if alone := Build(traceID, []*hop.Hop{dead}); len(alone.Roots) != 1 || alone.Culprit == nil {
		t.Errorf("a copy alone has %d roots, and the culprit %v", len(alone.Roots), alone.Culprit)
	}
	orphan := copied(out("web", "shadow", 5, 77, 1, 90, 503))
	if both := Build(traceID, []*hop.Hop{in("api", 1, 0, 0, 100, 200), in("web", 9, 4, 200, 300, 200), orphan}); both.Culprit != nil {
		t.Errorf("the culprit is %v", both.Culprit)
	}
}
