package forward

import (
	"net/http"
	"testing"
	"time"
)

// TestDatesFormatOnceASecond: the text is that of the second, and the same one
// until the next.
func TestDatesFormatOnceASecond(t *testing.T) {
	var d dates
	start := time.Date(1994, time.November, 6, 9, 49, 37, 1, time.FixedZone("CET", 3600))
	first := d.at(start)
	if first != "Sun, 06 Nov 1994 08:49:37 GMT" {
		t.Errorf("got %q", first)
	}
	made := d.last.Load()
	for _, tt := range []struct {
		after time.Duration
		want  string
		again bool // formatted anew
	}{
		{999 * time.Millisecond, first, false},
		{time.Second, "Sun, 06 Nov 1994 08:49:38 GMT", true},
		{0, "Sun, 06 Nov 1994 08:49:38 GMT", false}, // a request that was slow on its way here
		{time.Hour, "Sun, 06 Nov 1994 09:49:37 GMT", true},
		{time.Minute, "Sun, 06 Nov 1994 08:50:37 GMT", true}, // the clock was set back
	} {
		if got := d.at(start.Add(tt.after)); got != tt.want {
			t.Errorf("after %s: got %q, want %q", tt.after, got, tt.want)
		}
		if again := d.last.Load() != made; again != tt.again {
			t.Errorf("after %s: formatted again: %v", tt.after, again)
		}
		made = d.last.Load()
	}
	if _, err := http.ParseTime(d.at(time.Now())); err != nil {
		t.Error(err)
	}
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() { d.at(now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
