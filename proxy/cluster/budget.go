package cluster

import (
	"sync"
	"time"
)

// Budget limits retries to a share of the requests. Percent is of the requests under way,
// as in Envoy, and of the recent requests, as in Linkerd. The first alone does not hold
// when requests fail at once, since then none is under way for long. Min retries are always
// allowed, at one time and in one second. Each priority has a budget of its own. Its methods
// are safe for concurrent use.
type Budget struct {
	Percent float64
	Min     int

	mu     sync.Mutex
	purses [priorities]purse
}

// purse is what the requests of a priority have saved up.
type purse struct {
	tokens float64       // retries that there may be now
	filled time.Duration // when Min was last added to them
}

// savings is how many seconds' worth of Min, and how many retries at least, can be
// saved up for bad times.
const savings = 10

// Deposit counts a request that is not a retry.
func (b *Budget) Deposit(p Priority) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(&b.purses[p], b.Percent/100)
}

// add saves up, to a bound.
func (b *Budget) add(to *purse, tokens float64) {
	to.tokens = min(to.tokens+tokens, savings*max(float64(b.Min), 1))
}

// take spends a token, if there is one.
func (b *Budget) take(p Priority, now time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	from := &b.purses[p]
	if from.filled == 0 {
		b.add(from, float64(b.Min))
		from.filled = max(now, 1)
	}
	if elapsed := now - from.filled; elapsed > 0 {
		b.add(from, float64(b.Min)*elapsed.Seconds())
		from.filled = now
	}
	if from.tokens < 1 {
		return false
	}
	from.tokens--
	return true
}
