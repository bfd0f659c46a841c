package diagnose

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

func TestCauses(t *testing.T) {
	c := NewCauses(3)
	id := func(n byte) hop.TraceID { return hop.TraceID{15: n} }
	by := func(name string) hop.Failure { return hop.Failure{Origin: hop.OriginProxy, Hop: name} }
	at := func(n float64) time.Time { return epoch.Add(millis(n)) }
	find := func(n byte, since float64) string {
		f, ok := c.Find(id(n), at(since))
		if ok != (f != hop.Failure{}) {
			t.Errorf("trace %d: found is %t, %+v", n, ok, f)
		}
		return f.Hop
	}

	c.Note(id(1), by("a"), at(10))
	if got := find(1, 10); got != "a" {
		t.Errorf("found %q, want a", got)
	}
	if got := find(1, 10.1); got != "" {
		t.Errorf("found %q for a hop that began after the failure", got)
	}
	if got := find(2, 0); got != "" {
		t.Errorf("found %q for another trace", got)
	}
	c.Note(id(1), by("b"), at(11))
	if got := find(1, 0); got != "b" {
		t.Errorf("found %q, want the latest", got)
	}
	c.Note(hop.TraceID{}, by("nobody"), at(12))
	if got := find(0, 0); got != "" {
		t.Errorf("found %q for no trace", got)
	}

	c.Note(id(2), by("c"), at(12))
	c.Note(id(3), by("d"), at(13))
	c.Note(id(4), by("e"), at(14)) // the fourth: the first has to go
	for n, want := range map[byte]string{1: "", 2: "c", 3: "d", 4: "e"} {
		if got := find(n, 0); got != want {
			t.Errorf("trace %d: %q, want %q", n, got, want)
		}
	}
	for n := byte(10); n < 60; n++ {
		c.Note(id(n), by("x"), at(15))
	}
	if len(c.byTrace) != 3 {
		t.Errorf("%d traces are remembered, want 3", len(c.byTrace))
	}

	c.Note(id(9), hop.Failure{Hop: "a", Reason: strings.Repeat("x", 1<<20)}, at(16))
	if f, _ := c.Find(id(9), at(0)); len(f.Reason) != maxCauseText {
		t.Errorf("a reason of %d bytes was kept", len(f.Reason))
	}
}

func TestCausesTogether(t *testing.T) {
	c := NewCauses(8)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 500 {
				id := hop.TraceID{0: byte(g), 15: byte(i%4 + 1)}
				want := fmt.Sprint(g)
				c.Note(id, hop.Failure{Hop: want}, epoch)
				if f, ok := c.Find(id, epoch); ok && f.Hop != want {
					t.Errorf("found the failure of %s, want %s", f.Hop, want)
				}
			}
		})
	}
	wg.Wait()
}
