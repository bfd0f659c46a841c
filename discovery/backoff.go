package discovery

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff spaces the tries of a source that fails: twice as long after each
// failure, from Min up to Max, each a random half shorter so that many proxies
// do not ask at once. The zero value goes from 100 ms to 10 s.
type Backoff struct {
	Min, Max time.Duration
	failures int
}

// Next is how long to wait after one more failure.
func (b *Backoff) Next() time.Duration {
	least, most := b.Min, b.Max
	if least <= 0 {
		least = 100 * time.Millisecond
	}
	if most <= 0 {
		most = 10 * time.Second
	}
	wait := most
	if b.failures < 30 && least<<b.failures < most {
		wait = least << b.failures
	}
	b.failures++
	return wait/2 + rand.N(wait/2+1)
}

// Reset is called after a success.
func (b *Backoff) Reset() { b.failures = 0 }

// Sleep waits, or returns false when ctx is done first.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
