package panics

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestCounter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		noted := 0
		c := New(slog.New(slog.NewTextHandler(&log, nil)), func(text string) {
			if noted++; text != "the proxy panicked during a test: it has a defect" {
				t.Error(text)
			}
		})
		for range Limit {
			c.Caught("oops", "a test", "4bf9")
		}
		if c.Total() != Limit || c.TooMany(time.Now()) {
			t.Errorf("%d panics, too many %t", c.Total(), c.TooMany(time.Now()))
		}
		c.Caught("oops", "a test", "4bf9")
		if !c.TooMany(time.Now()) {
			t.Errorf("%d panics are not too many", c.Total())
		}
		if n := strings.Count(log.String(), "panic=oops"); n != 1 || !strings.Contains(log.String(), "panics_test.go") {
			t.Errorf("%d stacks at once:\n%s", n, log.String())
		}
		time.Sleep(Window)
		if c.TooMany(time.Now()) {
			t.Error("they count for ever")
		}
		c.Caught("oops", "a test", "")
		if n := strings.Count(log.String(), "panic=oops"); n != 2 || noted != 2 || c.TooMany(time.Now()) {
			t.Errorf("%d stacks, too many %t", n, c.TooMany(time.Now()))
		}
	})
	var none *Counter
	none.Caught("oops", "a test", "")
	if none.Total() != 0 || none.TooMany(time.Now()) {
		t.Error("nil counts")
	}
}
