package consul

import "time"

// grace decides whether to believe that something is gone. A Consul that was away may come
// back empty. Those who register with it fill it again, so what it does not know yet is
// most likely still there. The grace period begins when Consul has forgotten something.
type grace struct {
	period time.Duration
	until  time.Time // up to here nothing is believed to be gone
}

const defaultGrace = 10 * time.Minute

// gone reports whether to believe an answer that lacks what was there before, and if not,
// how long that stays so. forgotten says that Consul has forgotten something.
func (g *grace) gone(now time.Time, forgotten bool) (believed bool, wait time.Duration) {
	if forgotten {
		g.until = now.Add(g.period)
	}
	wait = max(g.until.Sub(now), 0)
	return wait == 0, wait
}

// seen ends the grace period: the thing is there. If it disappears from now on, that is
// believed.
func (g *grace) seen() { g.until = time.Time{} }
