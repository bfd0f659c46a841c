package balance

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDivide(t *testing.T) {
	healthy := func(percents ...int) (levels []standing) {
		for _, p := range percents {
			levels = append(levels, standing{healthy: p, present: 100})
		}
		return levels
	}
	for _, tt := range []struct {
		name      string
		levels    []standing
		threshold float64
		want      []share
	}{
		// As in Envoy's documentation, "Priority levels" and "Panic threshold".
		{"all", healthy(100, 100), 50, []share{{healthy: 100}, {}}},
		{"72 percent is enough", healthy(72, 100), 50, []share{{healthy: 100}, {}}},
		{"71 percent", healthy(71, 100), 50, []share{{healthy: 99}, {healthy: 1}}},
		{"50 percent", healthy(50, 100), 50, []share{{healthy: 70}, {healthy: 30}}},
		{"25 percent", healthy(25, 100), 50, []share{{healthy: 35}, {healthy: 65}}},
		{"none of the first", healthy(0, 100), 50, []share{{}, {healthy: 100}}},
		{"half and half", healthy(25, 25), 0, []share{{healthy: 50}, {healthy: 50}}},
		{"three", healthy(20, 20, 10), 0, []share{{healthy: 40}, {healthy: 40}, {healthy: 20}}},
		{"degraded after all healthy", []standing{{healthy: 50, degraded: 50, present: 100}, {healthy: 10, present: 100}}, 0,
			[]share{{healthy: 70, degraded: 16}, {healthy: 14}}},
		// The example in Envoy's code.
		{"scaled, rounding to the first", []standing{{healthy: 10, degraded: 20, present: 140}, {healthy: 20, degraded: 10, present: 140}, {healthy: 10, present: 140}}, 0,
			[]share{{healthy: 16, degraded: 28}, {healthy: 28, degraded: 14}, {healthy: 14}}},
		{"no panic while the others can", healthy(5, 100), 50, []share{{healthy: 7}, {healthy: 93}}},
		{"one panics", healthy(5, 65), 50, []share{{healthy: 8, panic: true}, {healthy: 92}}},
		{"all panic", healthy(5, 65), 70, []share{{healthy: 50, panic: true}, {healthy: 50, panic: true}}},
		{"all panic, by number", []standing{{present: 30}, {present: 10}}, 50, []share{{healthy: 75, panic: true}, {healthy: 25, panic: true}}},
		{"none, no panic", []standing{{present: 30}}, 0, []share{{}}},
		{"nobody", []standing{{}}, 50, []share{{panic: true}}},
		{"degraded count as available", []standing{{healthy: 20, degraded: 30, present: 100}}, 50, []share{{healthy: 40, degraded: 60}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := divide(tt.levels, 1.4, tt.threshold)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(share{})); diff != "" {
				t.Errorf("divide (-want +got):\n%s", diff)
			}
		})
	}
}
