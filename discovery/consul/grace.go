package consul

import "time"

// grace decides whether to believe that something is gone. A Consul that was away may come
// back empty, and is filled again by those who register with it: what it does not know yet
// is most likely still there. The grace period begins when Consul has forgotten something.
type grace struct {
	period time.Duration
	until  time.Time // up to here nothing is believed to be gone
}

const defaultGrace = 10 * time.Minute

// gone judges an answer that lacks what was there before. When it is not to be believed,
// wait is how long that stays so.
func (g *grace) gone(now time.Time, forgotten bool) (believed bool, wait time.Duration) {
	if forgotten {
		g.until = now.Add(g.period)
	}
	wait = max(g.until.Sub(now), 0)
	return wait == 0, wait
}

// seen notes that it is there: its disappearance, from here on, is news.
func (g *grace) seen() { g.until = time.Time{} }
