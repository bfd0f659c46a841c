package pins

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/record"
)

var _ record.View = (*Pins)(nil)

var start = time.Unix(1_700_000_000, 0)

var labels = &hop.Labels{Service: "web"}

func at(d time.Duration) time.Time { return start.Add(d) }

// newHop is a hop that ended at an instant.
func newHop(trace, span byte, end time.Duration, keep hop.Keep) *hop.Hop {
	h := &hop.Hop{Labels: labels, Trace: hop.TraceID{trace}, Span: hop.SpanID{span}, Start: at(end - time.Millisecond), End: time.Millisecond, Status: 200, Keep: keep}
	h.SetString(&h.Path, fmt.Sprint("/", span))
	h.Attempt().Endpoint = "10.0.0.1:80"
	return h
}

// root is the hop of a request that failed where it entered the mesh.
func root(trace, span byte, end time.Duration) *hop.Hop {
	h := newHop(trace, span, end, hop.KeepFailed)
	h.Entry, h.Status = true, 500
	return h
}

// rig has what was shown later, and what was marked at once.
type rig struct {
	*Pins
	shown []string
}

func newRig(o Options) *rig {
	r := &rig{}
	o.Show = func(h *hop.Hop) {
		r.shown = append(r.shown, fmt.Sprintf("%d/%d %s %s %s", h.Trace[0], h.Span[0], h.String(h.Path), h.Attempts[0].Endpoint, h.Keep))
	}
	r.Pins = New(o)
	return r
}

func (r *rig) see(hops ...*hop.Hop) {
	for _, h := range hops {
		r.Observe(h)
	}
}

func (r *rig) want(t *testing.T, shown ...string) {
	t.Helper()
	if !slices.Equal(r.shown, shown) {
		t.Errorf("shown are %q, want %q", r.shown, shown)
	}
	r.shown = nil
}

// TestOwn: a request that fails here takes the hops of its trace with it, those before and
// those after, each once, and the others are told.
func TestOwn(t *testing.T) {
	r := newRig(Options{})
	r.see(newHop(1, 1, time.Second, hop.KeepNot), newHop(2, 2, time.Second, hop.KeepNot), newHop(1, 3, time.Second, hop.KeepFailed), newHop(1, 4, time.Second, hop.KeepParent))
	r.want(t) // what failed is no root
	r.see(root(1, 5, 2*time.Second))
	r.want(t, "1/1 /1 10.0.0.1:80 mesh")
	late, never := newHop(1, 6, 2*time.Second+pinFor/2, hop.KeepNot), newHop(1, 7, 3*time.Second+pinFor, hop.KeepNot)
	r.see(late, never, root(1, 8, 3*time.Second))
	if late.Keep != hop.KeepMesh || never.Keep != hop.KeepNot {
		t.Errorf("kept by %q and %q", late.Keep, never.Keep)
	}
	r.want(t)
	select {
	case <-r.Waiting():
	default:
		t.Error("nobody is woken")
	}
	if batch := r.Batch(); !slices.Equal(batch, []hop.TraceID{{1}}) || len(r.Batch()) != 0 {
		t.Errorf("the others are told %v", batch)
	}
	if r.Shown() != 2 {
		t.Errorf("%d are counted", r.Shown())
	}
}

// TestWhatPins: a slow request pins its trace. A sampled one does not, nor one that entered
// the mesh elsewhere.
func TestWhatPins(t *testing.T) {
	slow, sampled, inner, lost := root(1, 1, 0), root(2, 2, 0), root(3, 3, 0), root(4, 4, 0)
	slow.Keep, sampled.Keep, inner.Entry, lost.Kind = hop.KeepSlow, hop.KeepParent, false, hop.KindConnection
	r := newRig(Options{})
	r.see(slow, sampled, inner, lost)
	if batch := r.Batch(); !slices.Equal(batch, []hop.TraceID{{1}}) {
		t.Errorf("pinned are %v", batch)
	}
}

// TestAsked: the hops of a trace that others name are shown at the next Tick, and nobody is
// told of it again.
func TestAsked(t *testing.T) {
	r := newRig(Options{})
	r.see(newHop(1, 1, 0, hop.KeepNot), newHop(2, 2, 0, hop.KeepNot), newHop(1, 3, 0, hop.KeepNot))
	if n := r.Ask([]hop.TraceID{{1}, {9}, {}, {1}}, at(time.Second)); n != 3 {
		t.Errorf("%d were taken", n)
	}
	r.want(t)
	r.Tick(at(time.Second))
	r.want(t, "1/1 /1 10.0.0.1:80 mesh", "1/3 /3 10.0.0.1:80 mesh")
	r.Tick(at(2 * time.Second))
	r.want(t)
	later := newHop(9, 4, 2*time.Second, hop.KeepNot)
	r.see(later)
	if later.Keep != hop.KeepMesh || len(r.Batch()) != 0 {
		t.Errorf("kept by %q", later.Keep)
	}
	r.Tick(at(time.Minute))
	if len(r.pinned) != 0 || len(r.order) != 0 {
		t.Errorf("%d are pinned for ever", len(r.pinned))
	}
}

// TestStorm: of a storm only some traces are pinned; the rest is counted, and told once.
func TestStorm(t *testing.T) {
	var log bytes.Buffer
	r := newRig(Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	const n = 10 * ownPerSecond
	for i := range n {
		h := root(0, 1, 0)
		h.Trace = hop.TraceID{0: 1, 14: byte(i >> 8), 15: byte(i)}
		r.see(h)
	}
	storm := 0.0
	r.Dropped(func(value float64, labels ...string) {
		if labels[1] == "storm" {
			storm = value
		}
	})
	if batch := r.Batch(); len(batch) != ownPerSecond || storm != n-ownPerSecond || strings.Count(log.String(), "WARN") != 1 {
		t.Errorf("%d are pinned, %v left out:\n%s", len(batch), storm, &log)
	}
	r.see(root(7, 7, 2*time.Second))
	if batch := r.Batch(); len(batch) != 1 {
		t.Error("after the storm nothing is pinned")
	}
}

// TestFlood: others can have only so many traces pinned.
func TestFlood(t *testing.T) {
	r := newRig(Options{})
	var ids []hop.TraceID
	for i := range 3 * othersPerSecond {
		ids = append(ids, hop.TraceID{0: 1, 14: byte(i >> 8), 15: byte(i)})
	}
	if n := r.Ask(ids, at(0)); n != othersPerSecond {
		t.Errorf("%d were taken", n)
	}
	for s := range 20 {
		r.Ask(ids, at(time.Duration(s)*time.Second))
		r.Tick(at(time.Duration(s) * time.Second))
	}
	if most := (int(pinFor/time.Second) + 2) * othersPerSecond; len(r.pinned) > most || len(r.order) > most {
		t.Errorf("%d are pinned", len(r.pinned))
	}
}

// TestBounded: whatever comes, the hops that are kept stay within their bytes, and what is
// known of them fits together.
func TestBounded(t *testing.T) {
	const most = 100 << 10
	r := newRig(Options{Bytes: most})
	for i := range 20_000 {
		h := newHop(byte(rand.N(50)), byte(i), time.Duration(i)*time.Millisecond, hop.KeepNot)
		h.Trace[1] = 1
		h.SetString(&h.UserAgent, strings.Repeat("x", rand.N(hop.MaxText)))
		for range rand.N(3) {
			h.Attempt()
		}
		r.see(h)
		if i%7 == 0 {
			r.Ask([]hop.TraceID{{byte(rand.N(50)), 1}}, at(time.Duration(i)*time.Millisecond))
			r.Tick(at(time.Duration(i) * time.Millisecond))
			r.shown = nil
		}
		if i%100 == 0 {
			check(t, &r.recent, most)
		}
	}
	r.see(newHop(99, 99, time.Hour, hop.KeepNot)) // all others are too old
	check(t, &r.recent, most)
	if len(r.recent.traces) != 1 || r.recent.first != r.recent.last {
		t.Errorf("%d old traces are kept", len(r.recent.traces))
	}
	huge := newHop(98, 98, time.Hour, hop.KeepNot)
	for range 1000 {
		huge.Attempt()
	}
	r.see(huge)
	check(t, &r.recent, most)
}

func check(t *testing.T, r *recent, most int) {
	t.Helper()
	bytes, hops, chained := 0, 0, 0
	for e := r.first; e != nil; e = e.next {
		if bytes += e.size; e.size > 0 {
			hops++
		}
	}
	for trace, c := range r.traces {
		for e := c.first; e != nil; e = e.nextOther {
			if chained++; e.hop.Trace != trace || e.size == 0 || e.nextOther == nil && e != c.last {
				t.Fatalf("a hop of trace %v is among those of %v", e.hop.Trace, trace)
			}
		}
	}
	if bytes != r.bytes || bytes > most || hops != chained {
		t.Fatalf("%d bytes, counted as %d, of at most %d; %d hops, %d by trace", bytes, r.bytes, most, hops, chained)
	}
}

func TestAllocatesNothing(t *testing.T) {
	r := newRig(Options{Bytes: 10 << 10})
	h := newHop(1, 1, 0, hop.KeepNot)
	i := byte(0)
	observe := func() {
		i++
		h.Trace = hop.TraceID{0: i, 1: 1}
		h.Start = h.Start.Add(time.Millisecond)
		r.Observe(h)
	}
	for range 1000 {
		observe()
	}
	if n := testing.AllocsPerRun(1000, observe); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	r := newRig(Options{})
	h := newHop(1, 1, 0, hop.KeepNot)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		h.Trace = hop.TraceID{0: byte(i), 1: byte(i >> 8), 2: byte(i >> 16), 3: 1}
		r.Observe(h)
	}
}
