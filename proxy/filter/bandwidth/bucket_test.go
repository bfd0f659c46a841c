package bandwidth

import (
	"testing"
	"time"
)

// TestBucket: what is taken waits until it has been paid for at the bucket's rate; what was
// not taken for a while is no more than a burst.
func TestBucket(t *testing.T) {
	const ms = time.Millisecond
	b := &bucket{rate: 1000} // a byte a millisecond
	start := time.Now()
	for i, tt := range []struct {
		at   time.Duration
		n    int
		want time.Duration
	}{
		{0, 50, 0}, // the burst
		{0, 10, 10 * ms},
		{0, 30, 40 * ms}, // in order
		{20 * ms, 10, 30 * ms},
		{50 * ms, 1, 1 * ms},
		{time.Minute, 60, 10 * ms}, // no more than a burst was saved
		{2 * time.Minute, 0, 0},
	} {
		if got := b.take(tt.n, start.Add(tt.at)); got != tt.want {
			t.Errorf("%d: %d bytes after %s wait for %s, want %s", i, tt.n, tt.at, got, tt.want)
		}
	}
}
