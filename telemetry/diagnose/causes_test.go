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
	noteOf := func(n byte, f hop.Failure, now float64) {
		c.Note(&hop.Hop{Labels: &hop.Labels{}, Trace: id(n), Parent: hop.SpanID{1}, Failure: f}, at(now), Call{Hurried: true, Among: 1})
	}
	find := func(n byte, since float64) string {
		f, ok := c.Find(&hop.Hop{Labels: &hop.Labels{}, Trace: id(n), Start: at(since)})
		if ok != (f != Cause{}) {
			t.Errorf("trace %d: found is %t, %+v", n, ok, f)
		}
		return f.Hop
	}

	noteOf(1, by("a"), 10)
	if got := find(1, 10); got != "a" {
		t.Errorf("found %q, want a", got)
	}
	if got := find(1, 10.1); got != "" {
		t.Errorf("found %q for a hop that began after the failure", got)
	}
	if got := find(2, 0); got != "" {
		t.Errorf("found %q for another trace", got)
	}
	noteOf(1, by("b"), 11)
	if got := find(1, 0); got != "b" {
		t.Errorf("found %q, want the latest", got)
	}
	noteOf(0, by("nobody"), 12)
	if got := find(0, 0); got != "" {
		t.Errorf("found %q for no trace", got)
	}

	noteOf(2, by("c"), 12)
	noteOf(3, by("d"), 13)
	noteOf(4, by("e"), 14) // the fourth: the first has to go
	for n, want := range map[byte]string{1: "", 2: "c", 3: "d", 4: "e"} {
		if got := find(n, 0); got != want {
			t.Errorf("trace %d: %q, want %q", n, got, want)
		}
	}
	for n := byte(10); n < 60; n++ {
		noteOf(n, by("x"), 15)
	}
	if len(c.byKey) != 3 {
		t.Errorf("%d traces are remembered, want 3", len(c.byKey))
	}

	noteOf(9, hop.Failure{Hop: "a", Reason: strings.Repeat("x", 1<<20)}, 16)
	if f, _ := c.Find(&hop.Hop{Labels: &hop.Labels{}, Trace: id(9), Start: at(0)}); len(f.Reason) != maxCauseText {
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
				h := &hop.Hop{Labels: &hop.Labels{}, Trace: id, Parent: hop.SpanID{1}, Start: epoch, Failure: hop.Failure{Hop: want}}
				c.Note(h, epoch, Call{Hurried: true, Among: 1})
				if f, ok := c.Find(h); ok && f.Hop != want {
					t.Errorf("found the failure of %s, want %s", f.Hop, want)
				}
			}
		})
	}
	wg.Wait()
}

// TestCausesHurried: a call that had no time left is not at fault, but the failed one that
// had used it up.
func TestCausesHurried(t *testing.T) {
	at := func(n float64) time.Time { return epoch.Add(millis(n)) }
	for _, tt := range []struct {
		name         string
		start, first float64 // when the inbound hop, and its first call, began
		kind         string
		want         string
	}{
		{"it had no time left", 0, 10, "upstream_timeout", "stock"},
		{"the one before was quick", 0, 995, "upstream_timeout", "search"},
		{"it failed by itself", 0, 10, "connect_refused", "search"},
		{"it failed by the limit of one attempt", 0, 10, "per_try_timeout", "search"},
		{"the one before was another request's", 999.5, 10, "upstream_timeout", "search"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := NewCauses(2)
			note := func(span byte, callee string, from, to float64, kind string) {
				h := &hop.Hop{
					Labels: &hop.Labels{}, Trace: hop.TraceID{1}, Span: hop.SpanID{span}, Parent: hop.SpanID{9}, Start: at(from),
					Timeout: 3 * time.Second, Failure: hop.Failure{Hop: callee, Kind: kind},
				}
				c.Note(h, at(to), Call{Hurried: true, Among: 1})
				c.Note(h, at(to), Call{Hurried: true, Among: 1})
			}
			note(1, "stock", tt.first, 999, "upstream_timeout")
			note(2, "search", 1000, 1012, tt.kind)
			f, _ := c.Find(&hop.Hop{Labels: &hop.Labels{}, Trace: hop.TraceID{1}, Start: at(tt.start)})
			if f.Hop != tt.want {
				t.Errorf("%q is at fault, want %q", f.Hop, tt.want)
			}
		})
	}
}

// TestCausesRecovered: a failure that a service recovered from is never why a request
// failed, but it may be why a call had no time left.
func TestCausesRecovered(t *testing.T) {
	at := func(n float64) time.Time { return epoch.Add(millis(n)) }
	c, trace := NewCauses(4), hop.TraceID{1}
	request := &hop.Hop{Labels: &hop.Labels{}, Trace: trace, Start: at(0)}
	call := func(span byte, from float64) *hop.Hop {
		return &hop.Hop{Labels: &hop.Labels{}, Trace: trace, Span: hop.SpanID{span}, Parent: hop.SpanID{9}, Start: at(from), Timeout: 3 * time.Second}
	}
	longest := func(since float64) string {
		f, ok := c.Longest(trace, request.Span, at(since))
		if ok != (f != Cause{}) {
			t.Errorf("found is %t, %+v", ok, f)
		}
		return fmt.Sprint(f.Hop, " ", f.Took)
	}
	if got := longest(0); got != " 0s" {
		t.Errorf("found %s", got)
	}
	for n := range 2 {
		h := call(byte(1+n), float64(400*n))
		h.Recovered = &hop.Recovered{Failure: hop.Failure{Hop: "stock"}, Took: 390 * time.Millisecond}
		c.Note(h, at(float64(400*n+395)), Call{Hurried: true, Among: 1})
	}
	if got := longest(0); got != "stock 780ms" {
		t.Errorf("found %s, want both", got)
	}
	if got := longest(800); got != " 0s" {
		t.Errorf("found %s, which was before", got)
	}
	if f, ok := c.Find(request); ok {
		t.Errorf("found %+v, which failed nothing", f)
	}
	h := call(5, 800)
	h.Failure = hop.Failure{Hop: "search", Kind: "upstream_timeout"}
	c.Note(h, at(812), Call{Hurried: true, Among: 1})
	if f, _ := c.Find(request); f.Hop != "stock" {
		t.Errorf("%q is at fault, want what took the time", f.Hop)
	}
	h = call(7, 815)
	h.Labels, h.Failure = &hop.Labels{Service: "web"}, hop.Failure{Hop: "web", Kind: KindNoTimeLeft}
	c.Note(h, at(819), Call{Since: at(10), Among: 1})
	if got := longest(0); got != "web 809ms" {
		t.Errorf("found %s, want the service that had no time left for its call", got)
	}
	h = call(6, 820)
	h.Failure = hop.Failure{Hop: "search", Kind: "connect_refused"}
	c.Note(h, at(821), Call{Hurried: true, Among: 1})
	if f, _ := c.Find(request); f.Hop != "search" {
		t.Errorf("%q is at fault, want what failed last", f.Hop)
	}
}

// TestCausesOfARequest: of two requests of a trace at once, each has its own failures, where
// it is known what a call was for.
func TestCausesOfARequest(t *testing.T) {
	c, trace := NewCauses(4), hop.TraceID{1}
	request := func(span byte) *hop.Hop {
		return &hop.Hop{Labels: &hop.Labels{}, Trace: trace, Span: hop.SpanID{span}, Start: epoch}
	}
	note := func(callee string, span byte) {
		h := request(100 + span)
		h.Parent, h.Failure = hop.SpanID{9}, hop.Failure{Hop: callee}
		c.Note(h, epoch.Add(time.Millisecond), Call{Request: hop.SpanID{span}, Among: 1})
	}
	want := func(span byte, callee string) {
		t.Helper()
		found, _ := c.Find(request(span))
		longest, _ := c.Longest(trace, hop.SpanID{span}, epoch)
		if found.Hop != callee || longest.Hop != callee {
			t.Errorf("request %d: found %q, and %q took longest; want %q", span, found.Hop, longest.Hop, callee)
		}
	}
	note("stock", 1)
	want(1, "stock")
	want(2, "")
	note("users", 2)
	want(1, "stock")
	want(2, "users")
	note("nobody knows", 0)
	want(1, "stock")
	want(3, "nobody knows")
}

// TestCausesWithoutContext: an application that passes no trace context on begins a trace
// with each call. What failed while it served a request is taken for the reason, and said
// to be inferred, unless the application is known to pass the context on.
func TestCausesWithoutContext(t *testing.T) {
	c := NewCauses(8)
	labels, other := &hop.Labels{Service: "web"}, &hop.Labels{Service: "orders"}
	at := func(n float64) time.Time { return epoch.Add(millis(n)) }
	lost := func(n byte, l *hop.Labels, start, end float64, callee string) {
		h := &hop.Hop{Labels: l, Trace: hop.TraceID{n}, Start: at(start), Failure: hop.Failure{Hop: callee, Reason: "refused"}}
		c.Note(h, at(end), Call{Hurried: true, Among: 1})
		c.Note(h, at(end), Call{Hurried: true, Among: 1}) // as when it is noted again
	}
	find := func(start float64) Cause {
		f, _ := c.Find(&hop.Hop{Labels: labels, Trace: hop.TraceID{200}, Start: at(start)})
		return f
	}
	lost(1, labels, 1, 5, "early")
	lost(2, other, 12, 13, "another service's")
	if f := find(10); f.Failure != (hop.Failure{}) {
		t.Errorf("found %+v, though nothing failed in that time", f)
	}
	lost(3, labels, 12, 14, "payments")
	lost(4, labels, 11, 13, "stock")
	want := hop.Failure{Hop: "payments", Inferred: true, Reason: "refused (inferred from the time: web does not pass the trace context on)"}
	if f := find(10); f.Failure != want {
		t.Errorf("found %+v, want the latest: %+v", f, want)
	}
	for n := range 100 { // only so many are kept
		lost(byte(n), labels, 20, 21, "stock")
	}
	if f := find(10); f.Hop != "stock" {
		t.Errorf("found %+v", f)
	}
	h := &hop.Hop{Labels: labels, Trace: hop.TraceID{150}, Start: at(30), Failure: hop.Failure{Hop: "bank"}}
	c.Note(h, at(31), Call{Hurried: true, Among: 3})
	if f := find(29); f.Hop != "bank" || f.Among != 3 || f.Took != time.Millisecond {
		t.Errorf("found %+v, want that it was one of 3", f)
	}
	c.Passes.Store(true)
	if f := find(10); f.Failure != (hop.Failure{}) {
		t.Errorf("found %+v, though the application passes the context on", f)
	}
}
