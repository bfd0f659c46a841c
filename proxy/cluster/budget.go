package cluster

import (
	"sync"
	"time"
)

// Budget limits retries to a share of the requests. Percent is of the requests under way,
// as in Envoy, and of the recent requests, as in Linkerd. The first alone does not hold
// when requests fail at once, since then none is under way for long. Min retries are always
// allowed, at one time and in one second. Its methods are safe for concurrent use.
type Budget struct {
	Percent float64
	Min     int

	mu     sync.Mutex
	tokens float64       // retries that there may be now
	filled time.Duration // when Min was last added to them
}

// savings is how many seconds' worth of Min, and how many retries at least, can be
// saved up for bad times.
const savings = 10

// Deposit counts a request that is not a retry.
func (b *Budget) Deposit() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(b.Percent / 100)
}

// add saves up, to a bound.
func (b *Budget) add(tokens float64) {
	b.tokens = min(b.tokens+tokens, savings*max(float64(b.Min), 1))
}

// take spends a token, if there is one.
func (b *Budget) take(now time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.filled == 0 {
		b.add(float64(b.Min))
		b.filled = max(now, 1)
	}
	if elapsed := now - b.filled; elapsed > 0 {
		b.add(float64(b.Min) * elapsed.Seconds())
		b.filled = now
	}
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
