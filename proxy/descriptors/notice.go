package descriptors

import (
	"sync"
	"time"
)

// Notice is a line of the log about something that happens often: it is written at
// once, and again after a minute at the earliest.
type Notice struct {
	mu    sync.Mutex
	times uint64 // since it was written last
	last  time.Time
}

const quiet = time.Minute

// Happened calls write, unless it was called within the last minute, with how often
// this has happened since then.
func (n *Notice) Happened(write func(times uint64)) { n.at(time.Now(), write) }

func (n *Notice) at(now time.Time, write func(times uint64)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.times++
	if !n.last.IsZero() && now.Sub(n.last) < quiet {
		return
	}
	write(n.times)
	n.times, n.last = 0, now
}
