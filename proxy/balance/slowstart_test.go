package balance

import (
	"math"
	"testing"
	"time"
)

func TestSlowStart(t *testing.T) {
	const window = 100 * time.Second
	for _, tt := range []struct {
		name             string
		age, window      time.Duration
		aggression, mins float64
		want             float64
	}{
		{"new", 0, window, 1, 10, 0.1},
		{"still below the least", 5 * time.Second, window, 1, 10, 0.1},
		{"half way", 50 * time.Second, window, 1, 10, 0.5},
		{"warm", window, window, 1, 10, 1},
		{"old", time.Hour, window, 1, 10, 1},
		{"quick first", 25 * time.Second, window, 2, 10, 0.5},
		{"slow first", 50 * time.Second, window, 0.5, 10, 0.25},
		{"no window", 0, 0, 1, 10, 1},
		{"from the future", -time.Second, window, 1, 10, 0.1},
		{"no least", 0, window, 1, 0, 0},
		{"aggression of nought is 1", 50 * time.Second, window, 0, 10, 0.5},
		{"aggression of nothing sensible is 1", 50 * time.Second, window, math.NaN(), 10, 0.5},
	} {
		if got := SlowStart(tt.age, tt.window, tt.aggression, tt.mins); math.Abs(got-tt.want) > 1e-12 {
			t.Errorf("%s: SlowStart(%v, %v, %v, %v) = %v, want %v", tt.name, tt.age, tt.window, tt.aggression, tt.mins, got, tt.want)
		}
	}
}
