package bandwidth

import (
	"sync"
	"time"
)

// burst is how much may pass at once, as the time that it takes at the bucket's rate: as
// Envoy fills its buckets each 50 ms.
const burst = 50 * time.Millisecond

// bucket shares a rate among all who take from it, in the order in which they ask.
type bucket struct {
	rate float64 // bytes a second

	mu   sync.Mutex
	paid time.Time // when what was taken has been paid for
}

// take takes n bytes, and returns how long to wait before they may pass.
func (b *bucket) take(n int, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if earliest := now.Add(-burst); b.paid.Before(earliest) {
		b.paid = earliest
	}
	b.paid = b.paid.Add(time.Duration(float64(n) / b.rate * float64(time.Second)))
	return max(b.paid.Sub(now), 0)
}
