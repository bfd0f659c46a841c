package discovery_test

import (
	"context"
	"testing"
	"time"

	"github.com/hopscope/hopscope/discovery"
)

func TestBackoffDoublesWithinItsBounds(t *testing.T) {
	b := discovery.Backoff{Min: 100 * time.Millisecond, Max: time.Second}
	for round := range 2 {
		for i, most := range []time.Duration{100, 200, 400, 800, 1000, 1000} {
			most *= time.Millisecond
			if got := b.Next(); got < most/2 || got > most {
				t.Errorf("round %d, failure %d: %s, want %s to %s", round, i, got, most/2, most)
			}
		}
		b.Reset()
	}
	var zero discovery.Backoff
	for range 100 {
		if got := zero.Next(); got < 50*time.Millisecond || got > 10*time.Second {
			t.Errorf("the zero value waits %s", got)
		}
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	if !discovery.Sleep(ctx, time.Nanosecond) {
		t.Error("a sleep that was long enough is reported as broken off")
	}
	cancel()
	if discovery.Sleep(ctx, time.Hour) {
		t.Error("a sleep whose context is done is reported as slept")
	}
}

func TestHealthHasNames(t *testing.T) {
	for h, want := range map[discovery.Health]string{
		discovery.Healthy: "healthy", discovery.Degraded: "degraded",
		discovery.Unhealthy: "unhealthy", discovery.Draining: "draining",
	} {
		if h.String() != want {
			t.Errorf("%d is %q, want %q", h, h, want)
		}
	}
}
