package consul

import "time"

// memory decides whether to believe that something which was there no longer is. A
// Consul that was away and comes back empty is filled again by those who register with
// it: what it does not know yet is most likely still there.
type memory struct {
	grace time.Duration
	until time.Time // up to here nothing is believed to be gone
}

const defaultGrace = 10 * time.Minute

// gone judges an answer that lacks what was there before. When it is not to be believed,
// wait is how long that stays so.
func (m *memory) gone(now time.Time, forgotten bool) (believed bool, wait time.Duration) {
	if forgotten {
		m.until = now.Add(m.grace)
	}
	wait = max(m.until.Sub(now), 0)
	return wait == 0, wait
}

// seen notes that it is there: its disappearance, from here on, is news.
func (m *memory) seen() { m.until = time.Time{} }
