package gate

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// state is what became of a request.
func state(g *Gate, w *Waiter, in bool) string {
	switch {
	case in:
		return "in"
	case w == nil:
		return "refused"
	}
	select {
	case <-w.Ready():
		if g.Settle(w) {
			return "in"
		}
		return "displaced"
	default:
		return "waits"
	}
}

func TestGate(t *testing.T) {
	type request struct {
		urgency Urgency
		want    string // once all have come
		later   string // once one has left
	}
	for name, tt := range map[string]struct {
		limit, room int
		requests    []request
	}{
		"no queue": {2, 0, []request{{3, "in", "in"}, {3, "in", "in"}, {0, "refused", "refused"}}},
		"first come, first served": {1, 2, []request{
			{3, "in", "in"}, {3, "waits", "in"}, {3, "waits", "waits"}, {3, "refused", "refused"},
		}},
		"the most urgent first": {1, 3, []request{
			{3, "in", "in"}, {5, "waits", "waits"}, {1, "waits", "in"}, {3, "waits", "waits"},
		}},
		"a full queue has room for one that is more urgent": {1, 2, []request{
			{3, "in", "in"}, {5, "waits", "waits"}, {5, "displaced", "displaced"}, {4, "waits", "in"}, {5, "refused", "refused"},
		}},
		"what is below the least urgent is the least urgent": {1, 1, []request{
			{3, "in", "in"}, {200, "displaced", "displaced"}, {6, "waits", "in"},
		}},
		"nothing is let in": {0, 1, []request{{3, "waits", "in"}, {3, "refused", "refused"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var g Gate
			waiters, in := make([]*Waiter, len(tt.requests)), make([]bool, len(tt.requests))
			for i, r := range tt.requests {
				waiters[i], in[i] = g.Enter(tt.limit, tt.room, r.urgency)
			}
			for i, r := range tt.requests {
				if got := state(&g, waiters[i], in[i]); got != r.want {
					t.Errorf("request %d of urgency %d: %s, want %s", i, r.urgency, got, r.want)
				}
			}
			if tt.limit > 0 {
				g.Leave()
			} else {
				g.Limit(1)
			}
			for i, r := range tt.requests {
				if got := state(&g, waiters[i], in[i]); got != r.later {
					t.Errorf("after one has left, request %d of urgency %d: %s, want %s", i, r.urgency, got, r.later)
				}
			}
		})
	}
}

// TestLimitChanges: a higher limit lets in who waits, a lower one cuts nobody off.
func TestLimitChanges(t *testing.T) {
	var g Gate
	var waiters []*Waiter
	for range 4 {
		if w, in := g.Enter(1, 10, DefaultUrgency); !in {
			waiters = append(waiters, w)
		}
	}
	g.Limit(3)
	if active, waiting := g.Load(); active != 3 || waiting != 1 {
		t.Errorf("with a limit of 3: %d under way, %d wait", active, waiting)
	}
	g.Limit(1)
	g.Leave()
	g.Leave()
	if active, waiting := g.Load(); active != 1 || waiting != 1 {
		t.Errorf("with a limit of 1, and after two have left: %d under way, %d wait", active, waiting)
	}
	if g.Settle(waiters[2]) {
		t.Error("one that gives up was let in")
	}
	if active, waiting := g.Load(); active != 1 || waiting != 0 {
		t.Errorf("after one has given up: %d under way, %d wait", active, waiting)
	}
	g.Leave()
	if _, in := g.Enter(1, 0, DefaultUrgency); !in {
		t.Error("the gate is empty, and lets nobody in")
	}
}

// TestGateByChance: whatever comes and goes, the limit holds, nobody waits while there is
// room, and nobody overtakes one that is at least as urgent and came before.
func TestGateByChance(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var g Gate
	type waiting struct {
		*Waiter
		came int
	}
	var queue []waiting
	active, limit, most := 0, 5, 8
	for step := range 20000 {
		switch n := r.IntN(10); {
		case n < 5:
			w, in := g.Enter(limit, most, Urgency(r.IntN(8)))
			if in {
				active++
			} else if w != nil {
				queue = append(queue, waiting{w, step})
			}
		case n < 8 && active > 0:
			g.Leave()
			active--
		case n < 9 && len(queue) > 0: // one gives up
			i := r.IntN(len(queue))
			if g.Settle(queue[i].Waiter) {
				active++
			}
			queue = slices.Delete(queue, i, i+1)
		default:
			limit = r.IntN(8)
			g.Limit(limit)
		}
		// Those that were let in came before all that still wait and are no more urgent.
		var left, entered []waiting
		for _, w := range queue {
			select {
			case <-w.Ready():
				if g.Settle(w.Waiter) {
					active++
					entered = append(entered, w)
				}
			default:
				left = append(left, w)
			}
		}
		queue = left
		for _, e := range entered {
			for _, w := range queue {
				if w.urgency < e.urgency || w.urgency == e.urgency && w.came < e.came {
					t.Fatalf("step %d: one of urgency %d that came at %d was let in before one of urgency %d that came at %d", step, e.urgency, e.came, w.urgency, w.came)
				}
			}
		}
		if a, w := g.Load(); a != active || w != len(queue) || w > 0 && a < limit || w > most {
			t.Fatalf("step %d: the gate has %d under way and %d waiting, limit %d; want %d and %d", step, a, w, limit, active, len(queue))
		}
	}
}
