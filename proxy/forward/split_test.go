package forward

import (
	"fmt"
	"math"
	"testing"

	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Clients that stay at their targets divide as the weights say. If a weight changes, the
// clients that move are those that the change asks for: all of them leave the target that
// lost weight, or come to the one that gained it, and no client moves between others.
func TestStickyClientsMoveNoMoreThanNeeded(t *testing.T) {
	const clients = 50_000
	where := func(weights map[string]int) (all [clients]string) {
		a := &Forward{}
		for _, name := range []string{"a", "b", "c", "d"} {
			if w, ok := weights[name]; ok {
				a.Targets = append(a.Targets, Target{Weight: uint32(w), Labels: &hop.Labels{Variant: name}})
			}
		}
		for i := range all {
			all[i] = a.stay(balance.HashString(fmt.Sprintf("client-%d", i))).Labels.Variant
		}
		return all
	}
	share := func(weights map[string]int, name string) float64 {
		sum := 0
		for _, w := range weights {
			sum += w
		}
		return float64(weights[name]) / float64(sum)
	}
	for _, tt := range []struct {
		before, after map[string]int
		changed       string
	}{
		{map[string]int{"a": 90, "b": 10}, map[string]int{"a": 90, "b": 30}, "b"},
		{map[string]int{"a": 90, "b": 10}, map[string]int{"a": 50, "b": 50}, "b"}, // each other's share
		{map[string]int{"a": 90, "b": 10}, map[string]int{"a": 90, "b": 0}, "b"},
		{map[string]int{"a": 60, "b": 30, "c": 10}, map[string]int{"a": 60, "b": 30, "c": 40}, "c"},
		{map[string]int{"a": 60, "b": 30, "c": 40}, map[string]int{"a": 60, "b": 30, "c": 5}, "c"},
		{map[string]int{"a": 60, "b": 30, "c": 10}, map[string]int{"a": 60, "b": 30, "c": 10, "d": 20}, "d"},
		{map[string]int{"a": 60, "b": 30, "c": 10}, map[string]int{"a": 60, "c": 10}, "b"},
		{map[string]int{"a": 60, "b": 30}, map[string]int{"a": 600, "b": 300}, ""}, // the same shares
	} {
		before, after := where(tt.before), where(tt.after)
		count, moved := map[string]int{}, 0
		for i := range before {
			count[after[i]]++
			if before[i] == after[i] {
				continue
			}
			moved++
			if before[i] != tt.changed && after[i] != tt.changed {
				t.Fatalf("from %v to %v, a client moved from %s to %s, of which neither changed", tt.before, tt.after, before[i], after[i])
			}
		}
		for name := range tt.after {
			near(t, fmt.Sprintf("%v: clients of %s", tt.after, name), float64(count[name])/clients, share(tt.after, name))
		}
		want := math.Abs(share(tt.after, tt.changed) - share(tt.before, tt.changed))
		near(t, fmt.Sprintf("from %v to %v: clients that moved", tt.before, tt.after), float64(moved)/clients, want)
	}
}

// near compares shares of clients, who are many and always the same.
func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 0.01 {
		t.Errorf("%s: %.3f, want %.3f", what, got, want)
	}
}
