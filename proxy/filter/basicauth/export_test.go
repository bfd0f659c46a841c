package basicauth

import "github.com/hopscope/hopscope/proxy/gate"

// Limits for tests.
const (
	Remembered    = remembered
	MaxRemembered = maxRemembered
)

// Occupy takes all places at which passwords are compared, until free is called. With full, it
// takes all places in the queue, too.
func (v *Verifier) Occupy(full bool) (free func()) {
	for range v.atOnce {
		v.gate.Enter(v.atOnce, 0, gate.DefaultUrgency)
	}
	var waiting []*gate.Waiter
	for len(waiting) < room && full {
		w, _ := v.gate.Enter(v.atOnce, room, gate.DefaultUrgency)
		waiting = append(waiting, w)
	}
	return func() {
		for _, w := range waiting {
			v.gate.Settle(w)
		}
		for range v.atOnce {
			v.gate.Leave()
		}
	}
}

// Load is how many passwords are being compared, and how many requests wait.
func (v *Verifier) Load() (comparing, waiting int) { return v.gate.Load() }

// Len is how many passwords are remembered.
func (v *Verifier) Len() int { return len(v.young) + len(v.old) }
