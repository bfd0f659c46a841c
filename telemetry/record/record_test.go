package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/hopscope/hopscope/telemetry/hop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watch is a View of functions; those that are nil do nothing.
type watch struct {
	name    string
	observe func(*hop.Hop)
	tick    func(time.Time)
	close   func(context.Context) error
}

func (w *watch) Name() string { return w.name }

func (w *watch) Observe(h *hop.Hop) {
	if w.observe != nil {
		w.observe(h)
	}
}

func (w *watch) Tick(now time.Time) {
	if w.tick != nil {
		w.tick(now)
	}
}

func (w *watch) Close(ctx context.Context) error {
	if w.close != nil {
		return w.close(ctx)
	}
	return nil
}

// send records one Hop that carries n.
func send(s hop.Sink, n int) {
	h := s.Open()
	h.Status = n
	s.Record(h)
}

// dropped collects what Dropped tells.
func dropped(r *Recorder) map[string]int {
	counts := map[string]int{}
	r.Dropped(func(value float64, labelValues ...string) {
		if value > 0 {
			counts[strings.Join(labelValues, "/")] = int(value)
		}
	})
	return counts
}

func mustClose(t *testing.T, r *Recorder) {
	t.Helper()
	if err := r.Close(t.Context()); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

// Many producers on few shards: nothing is lost while no ring is full, and
// what one producer records is seen in its order.
func TestEveryHopInOrder(t *testing.T) {
	const producers, each = 8, 3000
	for _, procs := range []int{1, 2, 4} {
		t.Run(fmt.Sprintf("procs=%d", procs), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			var last [producers]int
			seen := 0
			v := &watch{observe: func(h *hop.Hop) {
				seen++
				if p, n := h.Status/each, h.Status%each+1; n != last[p]+1 {
					t.Errorf("producer %d: hop %d came after hop %d", p, n, last[p])
				} else {
					last[p] = n
				}
			}}
			r := New([]View{v}, Options{Shards: 3, Capacity: producers * each})
			var wg sync.WaitGroup
			for p := range producers {
				wg.Go(func() {
					s := r.Sink(p)
					for n := range each {
						send(s, p*each+n)
					}
				})
			}
			wg.Wait()
			if err := r.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if seen != producers*each {
				t.Errorf("after Flush %d hops were observed, want %d", seen, producers*each)
			}
			mustClose(t, r)
			if diff := cmp.Diff(map[string]int{}, dropped(r)); diff != "" {
				t.Errorf("dropped (-want +got):\n%s", diff)
			}
		})
	}
}

// While a view blocks, the ring fills and the rest is dropped, to the number.
func TestFullRingDrops(t *testing.T) {
	const capacity, over = 128, 17
	entered, release := make(chan struct{}), make(chan struct{})
	var seen []int
	v := &watch{observe: func(h *hop.Hop) {
		if len(seen) == 0 {
			close(entered)
			<-release
		}
		seen = append(seen, h.Status)
	}}
	var said bytes.Buffer
	r := New([]View{v}, Options{Shards: 1, Capacity: capacity, Log: slog.New(slog.NewTextHandler(&said, nil))})
	s := r.Sink(0)
	send(s, 0)
	<-entered // the ring is empty, the worker is stuck
	for n := range capacity + over {
		send(s, n+1)
	}
	if diff := cmp.Diff(map[string]int{"all/ring_full": over}, dropped(r)); diff != "" {
		t.Errorf("dropped (-want +got):\n%s", diff)
	}
	close(release)
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustClose(t, r)
	if n := strings.Count(said.String(), fmt.Sprintf("reason=ring_full dropped_so_far=%d", over)); n != 1 {
		t.Errorf("the log says %d times that hops were dropped, want once: %s", n, &said)
	}
	var want []int
	for n := range capacity + 1 {
		want = append(want, n)
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
}

// Producers that overrun the worker and go on while it is closed: every Hop
// is either observed or counted.
func TestNothingIsLostUncounted(t *testing.T) {
	const producers, each = 6, 4000
	seen := 0
	half := make(chan struct{})
	v := &watch{observe: func(*hop.Hop) {
		if seen++; seen == producers*each/4 {
			close(half)
		}
	}}
	r := New([]View{v}, Options{Shards: 2, Capacity: 1})
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			s := r.Sink(p)
			for n := range each {
				send(s, n)
				if n%50 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	finished := make(chan struct{})
	go func() { wg.Wait(); close(finished) }()
	select {
	case <-half:
	case <-finished:
	}
	mustClose(t, r)
	<-finished
	send(r.Sink(0), 1)
	lost := dropped(r)
	if got := seen + lost["all/ring_full"] + lost["all/closed"]; got != producers*each+1 {
		t.Errorf("%d observed and %v dropped make %d, want %d", seen, lost, got, producers*each+1)
	}
	if lost["all/closed"] == 0 {
		t.Errorf("the hop recorded after Close was not counted: %v", lost)
	}
}

func TestCloseDrainsAndClosesViews(t *testing.T) {
	broken := errors.New("disk on fire")
	seen, closed := 0, 0
	count := func(*hop.Hop) {
		if closed > 0 {
			t.Error("Observe after Close")
		}
		seen++
	}
	views := []View{
		&watch{name: "a", observe: count, close: func(context.Context) error { closed++; return broken }},
		&watch{name: "b", close: func(context.Context) error { closed++; return nil }},
	}
	r := New(views, Options{})
	for n := range 1000 {
		send(r.Sink(n), n)
	}
	for range 2 { // closing twice is closing once
		err := r.Close(t.Context())
		if !errors.Is(err, broken) || !strings.Contains(err.Error(), "view a") {
			t.Errorf("Close: %v, want it to name view a and wrap %v", err, broken)
		}
	}
	if seen != 1000 || closed != 2 {
		t.Errorf("observed %d hops and closed %d views, want 1000 and 2", seen, closed)
	}
	if err := r.Flush(t.Context()); err != nil {
		t.Errorf("Flush after Close: %v", err)
	}
}

// A view that does not come back keeps neither Flush nor Close, and what was
// recorded is still shown when it does.
func TestStuckViewIsBoundedByContext(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	seen := 0
	r := New([]View{&watch{observe: func(*hop.Hop) {
		if seen++; seen == 1 {
			close(entered)
			<-release
		}
	}}}, Options{})
	send(r.Sink(0), 1)
	<-entered
	send(r.Sink(0), 2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Flush(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Flush: %v, want %v", err, context.Canceled)
	}
	if err := r.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close: %v, want %v", err, context.Canceled)
	}
	close(release)
	mustClose(t, r)
	if seen != 2 {
		t.Errorf("observed %d hops, want 2", seen)
	}
}

func TestPanickingView(t *testing.T) {
	var log bytes.Buffer
	var before, after int
	views := []View{
		&watch{name: "before", observe: func(*hop.Hop) { before++ }},
		&watch{name: "bad",
			observe: func(h *hop.Hop) {
				if h.Status%2 == 0 {
					panic("boom")
				}
			},
			close: func(context.Context) error { panic("again") }},
		&watch{name: "after", observe: func(*hop.Hop) { after++ }},
	}
	r := New(views, Options{Shards: 1, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for n := range 100 {
		send(r.Sink(0), n)
	}
	mustClose(t, r)
	if before != 100 || after != 100 {
		t.Errorf("the views around it saw %d and %d hops, want 100", before, after)
	}
	if diff := cmp.Diff(map[string]int{"bad/panic": 51}, dropped(r)); diff != "" {
		t.Errorf("dropped (-want +got):\n%s", diff)
	}
	if n := strings.Count(log.String(), "view=bad"); n != 1 {
		t.Errorf("%d log lines for 51 panics, want 1:\n%s", n, &log)
	}
}

// With time under control: views are ticked soon after work, and then the
// worker has no timer any more, until the next Hop.
func TestTicksAfterWorkAndParks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var observed, ticks int
		var ticked time.Time
		r := New([]View{&watch{
			observe: func(*hop.Hop) { observed++ },
			tick:    func(now time.Time) { ticks++; ticked = now },
		}}, Options{Shards: 2})
		for burst := 1; burst <= 3; burst++ {
			synctest.Wait()
			if s := r.state.Load(); s != parked {
				t.Fatalf("burst %d: the idle worker's state is %d, want parked", burst, s)
			}
			start := time.Now()
			send(r.Sink(0), 1)
			time.Sleep(linger / 2)
			send(r.Sink(1), 1)
			time.Sleep(time.Hour)
			synctest.Wait()
			if observed != 2*burst {
				t.Fatalf("burst %d: %d hops observed, want %d", burst, observed, 2*burst)
			}
			if d := ticked.Sub(start); d < linger/2 || d > tickEvery+linger {
				t.Errorf("burst %d: last tick %v after it began, want at most %v", burst, d, tickEvery+linger)
			}
			if ticks > 2*burst {
				t.Errorf("%d ticks for %d bursts: it ticks while idle", ticks, burst)
			}
		}
		mustClose(t, r)
	})
}

// A worker that lingers is called when enough has piled up, before its timer.
func TestWatermarkWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		observed := 0
		r := New([]View{&watch{observe: func(*hop.Hop) { observed++ }}}, Options{Shards: 1})
		send(r.Sink(0), 0)
		synctest.Wait() // observed; lingers now
		for n := range watermark {
			send(r.Sink(0), n)
		}
		synctest.Wait() // no time passes
		if want := watermark; observed < want {
			t.Errorf("%d hops observed before the timer, want at least %d", observed, want)
		}
		mustClose(t, r)
	})
}

func TestSinkWrapsAround(t *testing.T) {
	r := New(nil, Options{Shards: 3})
	if r.Sink(4) != r.Sink(1) || r.Sink(1) == r.Sink(2) || r.Sink(-1) == nil {
		t.Error("Sink(i) is not shard i modulo 3")
	}
	mustClose(t, r)
}

// The whole way of a Hop: open, push, pop, observe, reuse.
func BenchmarkRecord(b *testing.B) {
	for _, procs := range []int{1, 2} {
		b.Run(fmt.Sprintf("procs=%d", procs), func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			seen := 0
			r := New([]View{&watch{observe: func(*hop.Hop) { seen++ }}}, Options{})
			defer r.Close(context.Background())
			b.ReportAllocs()
			s := r.Sink(0)
			for n := 0; b.Loop(); n++ {
				send(s, n)
				if n%32 == 31 {
					runtime.Gosched() // as a proxy does between its connections
				}
			}
			b.StopTimer()
			if err := r.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
			lost := 0
			for _, n := range dropped(r) {
				lost += n
			}
			b.ReportMetric(float64(lost)/float64(seen+lost), "dropped/op")
		})
	}
}
