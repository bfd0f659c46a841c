package evidence

import (
	"net/netip"
	"sync"
	"time"
)

// The answers about listeners are kept for a moment, since many attempts fail at once when
// an application ends.
const (
	momentary  = 100 * time.Millisecond
	mostRecent = 128
)

// recent has the latest answers. The zero value is ready.
type recent struct {
	mu      sync.Mutex
	answers map[netip.AddrPort]answer
}

type answer struct {
	listeners
	at time.Time
}

func (r *recent) get(at netip.AddrPort, now time.Time) (listeners, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.answers[at]
	return a.listeners, ok && now.Sub(a.at) < momentary
}

func (r *recent) put(at netip.AddrPort, l listeners, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answers == nil || len(r.answers) >= mostRecent {
		r.answers = map[netip.AddrPort]answer{}
	}
	r.answers[at] = answer{l, now}
}
