package diagnose

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/telemetry/hop"
)

func TestCuts(t *testing.T) {
	cases := []struct {
		name string
		hops []*hop.Hop
		want []string // services
	}{
		{"whole", []*hop.Hop{in("web", 1, 0, 0, 40, 200), in("orders", 3, 2, 1, 39, 200)}, nil},
		{"a root whose caller has no proxy", []*hop.Hop{in("web", 1, 99, 0, 40, 200)}, nil},
		{"an application's own tracer", []*hop.Hop{in("web", 1, 0, 0, 40, 200), out("web", "orders", 3, 99, 1, 39, 200)}, nil},
		{"a call past the proxy", []*hop.Hop{in("web", 1, 0, 0, 40, 200), in("orders", 3, 99, 1, 39, 200), in("orders", 5, 98, 2, 3, 200)}, []string{"web"}},
		{"a hop without a place", []*hop.Hop{in("web", 1, 0, 0, 40, 200), in("orders", 3, 99, 50, 60, 200)}, []string{"orders"}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, b := range Build(traceID, tc.hops).Breaks {
				got = append(got, b.Service)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
