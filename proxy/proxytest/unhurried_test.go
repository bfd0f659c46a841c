package proxytest

import (
	"testing"
	"time"
)

// A test that needs more time gets it, and one that is never right fails, whatever it does
// to fail. What it has to clean up is cleaned up in between.
func TestUnhurried(t *testing.T) {
	for _, tt := range []struct {
		name   string
		needs  time.Duration
		fail   func(testing.TB)
		trials int
		want   bool
	}{
		{"at once", 1, nil, 1, true},
		{"with more time", 10, func(t testing.TB) { t.Fatal("late") }, 3, true},
		{"later", 64, func(t testing.TB) { t.Errorf("%s", "late") }, 4, true},
		{"never", 100, testing.TB.FailNow, 4, false},
		{"never, on cleaning up", 100, func(t testing.TB) { t.Cleanup(t.Fail) }, 4, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			trials, open := 0, 0
			failures := unhurried(t, 1, func(t testing.TB, unit time.Duration) {
				if open != 0 {
					t.Error("what was before was not cleaned up")
				}
				trials++
				open++
				t.Cleanup(func() { open-- })
				if unit < tt.needs {
					tt.fail(t)
				}
			})
			if (failures == "") != tt.want || trials != tt.trials || open != 0 {
				t.Errorf("%d trials, %d open, %q; want %d", trials, open, failures, tt.trials)
			}
		})
	}
}
