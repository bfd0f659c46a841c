package outlier

import (
	"sync/atomic"
	"time"
)

// A window has steps whole buckets and the one that is being filled. It is never shorter
// than the interval, and at most a tenth longer. Envoy has one bucket, from tick to tick;
// this window can be read at any time.
const (
	steps   = 10
	buckets = steps + 1
)

// A bucket is one word. So a request costs one atomic addition, and nobody ever sees a
// bucket half cleared:
//
//	24 bits  tag: the low bits of the bucket's number since the clock's zero
//	20 bits  requests
//	20 bits  those of them that failed
//
// An addition that is late by a whole window may take over a newer bucket, and one that
// races with a clear is lost. Rates tolerate that.
const (
	countBits = 20
	countMask = 1<<countBits - 1
	tagMask   = 1<<24 - 1
	oneTotal  = 1 << countBits
	oneFailed = 1
	// A full bucket takes no more requests, so that they do not overflow into the tag;
	// its rate is exact enough. The rest is room for concurrent additions.
	fullBucket = countMask - 1<<12
)

// window counts requests and failures. It is safe for concurrent use.
type window [buckets]atomic.Uint64

// count is what a window holds.
type count struct{ total, failed int }

// rate is the success rate in percent, of a total that is not 0.
func (c count) rate() float64 { return 100 * float64(c.total-c.failed) / float64(c.total) }

// number returns the number of the bucket that is filled at now.
func number(now, width time.Duration) uint64 { return uint64(now / width) }

// add counts a request; failed is oneFailed or 0.
func (w *window) add(number, failed uint64) {
	b := &w[number%buckets]
	tag := number & tagMask
	old := b.Load()
	for old>>(2*countBits) != tag || old == 0 {
		if b.CompareAndSwap(old, tag<<(2*countBits)|oneTotal|failed) {
			return
		}
		old = b.Load()
	}
	if old>>countBits&countMask < fullBucket {
		b.Add(oneTotal | failed)
	}
}

// sum adds up the window that ends with the bucket of that number.
func (w *window) sum(number uint64) count {
	var c count
	for i := range w {
		word := w[i].Load()
		if age := (number - word>>(2*countBits)) & tagMask; age >= buckets {
			continue
		}
		c.total += int(word >> countBits & countMask)
		c.failed += int(word & countMask)
	}
	return c
}

func (w *window) clear() {
	for i := range w {
		w[i].Store(0)
	}
}
