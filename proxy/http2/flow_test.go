package http2

import (
	"testing"
	"time"
)

// Streams that lack only what they share send one after the other, in the order in which
// they asked.
func TestFlowIsShared(t *testing.T) {
	f := flow{window: 100}
	a, b, c := &Stream{window: 1000}, &Stream{window: 1000}, &Stream{window: 10}
	for _, step := range []struct {
		name    string
		stream  *Stream
		n, room int
		want    int
	}{
		{"less than the window", a, 60, 1000, 60},
		{"what is left of it", b, 60, 1000, 40},
		{"nothing is left", a, 60, 1000, 0},
		{"nor for another", b, 60, 1000, 0},
	} {
		if got := f.take(step.stream, step.n, step.room); got != step.want {
			t.Fatalf("%s: %d, want %d", step.name, got, step.want)
		}
	}
	f.window += 50
	if got := f.take(b, 60, 1000); got != 0 {
		t.Errorf("b is second in the queue and may send %d", got)
	}
	if got := f.take(a, 60, 20); got != 20 {
		t.Errorf("the buffer has room for 20, a may send %d", got)
	}
	f.remove(a)
	if got := f.take(c, 60, 1000); got != 0 {
		t.Errorf("c goes before b: %d", got)
	}
	if got := f.take(b, 60, 1000); got != 30 || f.window != 0 {
		t.Errorf("b may send %d, and %d is left", got, f.window)
	}
	f.remove(b)
	f.window = 100
	if got := f.take(c, 60, 1000); got != 10 || c.window != 0 {
		t.Errorf("c may send %d, its own window has 10", got)
	}
}

func TestFlowRefillsWhatIsWorthAFrame(t *testing.T) {
	for _, tt := range []struct {
		name          string
		credit, ahead int64
		width, want   int64
	}{
		{"full", connWindow, 0, connWindow, 0},
		{"less than half is used", connWindow/2 + 1, 0, connWindow, 0},
		{"half is used", connWindow / 2, 0, connWindow, connWindow / 2},
		{"what was not read counts for nothing on a full window", 0, connWindow, connWindow, connWindow},
		{"but on a narrow one", 0, firstWindow, firstWindow, 0},
		{"more was granted before than is now", connWindow, 0, firstWindow, 0},
	} {
		f := flow{credit: tt.credit, ahead: tt.ahead}
		if got := f.refill(tt.width); got != tt.want || f.credit != tt.credit+tt.want {
			t.Errorf("%s: %d, and %d in all, want %d", tt.name, got, f.credit, tt.want)
		}
	}
}

func TestMeter(t *testing.T) {
	m := meter{limits: Floods{Control: 3, Resets: 2, Replies: 1}}
	for i := range 3 {
		if m.addControl(0) {
			t.Fatalf("control frame %d of 3 is a flood", i+1)
		}
	}
	m.moved++ // which allows perMessage more
	for i := range perMessage {
		if m.addControl(time.Second) {
			t.Fatalf("control frame %d for a message is a flood", i+1)
		}
	}
	if !m.addControl(floodSpan - 1) {
		t.Error("one more than allowed is no flood")
	}
	if m.addControl(floodSpan) {
		t.Error("it counts in the next span, too")
	}
	for i, want := range []bool{false, false, true} {
		if m.addReset(floodSpan) != want {
			t.Errorf("reset %d of 2 that are allowed: flood is %v", i+1, !want)
		}
	}
	m.replies = 1
	if m.unread() {
		t.Error("one answer may wait")
	}
	if m.replies++; !m.unread() {
		t.Error("two answers may wait")
	}
}
