package spans

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/hopscope/hopscope/telemetry/delivery"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/record"
)

var _ record.View = (*Spans)(nil)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// exporter answers as its function says and remembers what it was given.
type exporter struct {
	answer func(ctx context.Context, call int) error
	each   func(*Batch) // nil is for nobody

	mu       sync.Mutex
	calls    int
	spans    int
	services map[string]int
	closed   int
}

func (e *exporter) Name() string { return "test" }

func (e *exporter) Export(ctx context.Context, b *Batch) error {
	e.mu.Lock()
	e.calls++
	call := e.calls
	e.mu.Unlock()
	if e.each != nil {
		e.each(b)
	}
	if e.answer != nil {
		if err := e.answer(ctx, call); err != nil {
			return err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	spans, err := b.Spans()
	if err != nil {
		return err
	}
	e.spans += len(spans)
	if e.services == nil {
		e.services = make(map[string]int)
	}
	e.services[b.Service()] += len(spans)
	return nil
}

func (e *exporter) Close(context.Context) error { e.closed++; return nil }

func (e *exporter) seen() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.spans
}

func (e *exporter) called() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls
}

func hang(ctx context.Context, _ int) error {
	<-ctx.Done()
	return ctx.Err()
}

func lostSpans(s *Spans) map[string]int {
	m := make(map[string]int)
	s.Dropped(func(value float64, labels ...string) {
		if value > 0 {
			m[labels[0]+"/"+labels[1]] += int(value)
		}
	})
	return m
}

func TestBatchesReachEveryExporter(t *testing.T) {
	a, b := &exporter{}, &exporter{}
	s := New([]Exporter{a, b}, Options{})
	const hops = 6000 // more than one full batch, and a rest
	for range hops {
		s.Observe(okHop(nil))
	}
	other := okHop(func(h *hop.Hop) { h.Labels = &hop.Labels{Service: "other"} })
	s.Observe(other)
	s.Observe(okHop(func(h *hop.Hop) { h.Keep = hop.KeepNot }))
	s.Observe(okHop(func(h *hop.Hop) { h.Trace = hop.TraceID{} }))
	s.Tick(time.Time{})
	s.Observe(other)
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, e := range []*exporter{a, b} {
		if e.services["web"] != hops || e.services["other"] != 2 {
			t.Errorf("spans by service: %v, want web %d, other 2", e.services, hops)
		}
		if e.calls < 5 || e.calls > 10 {
			t.Errorf("%d spans came in %d batches", e.spans, e.calls)
		}
		if e.closed != 1 {
			t.Errorf("closed %d times", e.closed)
		}
	}
	if d := lostSpans(s); len(d) != 1 || d["spans/no_trace"] != 1 {
		t.Errorf("dropped %v, want one hop without a trace", d)
	}
}

// One exporter that hangs neither blocks Observe nor takes from another; what
// it could not take is counted, and at Close it is given up.
func TestAnExporterThatHangs(t *testing.T) {
	healthy, stuck := &exporter{}, &exporter{answer: hang}
	s := New([]Exporter{healthy, stuck}, Options{QueueBytes: 1 << 20})
	const hops = 5 * maxBatchSpans / 3 // of three spans each: five full batches
	for range hops {
		s.Observe(retried(okHop(nil)))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close: %v, want that its time was up", err)
	}
	d := lostSpans(s)
	if lost := d["spans/queue_full"] + d["spans/closed"]; lost+healthy.seen()+stuck.seen() != 2*3*hops {
		t.Errorf("dropped %v, sent %d and %d: not the sum of two times %d", d, healthy.seen(), stuck.seen(), 3*hops)
	}
	if stuck.seen() != 0 {
		t.Errorf("the stuck exporter sent %d spans", stuck.seen())
	}
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		e := &exporter{answer: func(ctx context.Context, call int) error {
			<-release
			return nil
		}}
		s := New([]Exporter{e}, Options{QueueBytes: 100 << 10})
		for range 1000 { // more than half a KiB each, each a batch of its own
			s.Observe(okHop(nil))
			s.Tick(time.Time{})
		}
		synctest.Wait()
		if w := s.queues[0].Waiting(); w > 100<<10 || w < 90<<10 {
			t.Errorf("%d bytes wait, want just under %d", w, 100<<10)
		}
		full := lostSpans(s)["spans/queue_full"]
		if full < 850 {
			t.Errorf("only %d spans dropped", full)
		}
		close(release)
		synctest.Wait()
		if w := s.queues[0].Waiting(); w != 0 {
			t.Errorf("%d bytes wait after all was sent", w)
		}
		s.Observe(okHop(nil)) // back to normal, without a restart
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := e.seen(); got != 1000-full+1 {
			t.Errorf("%d spans sent and %d dropped of 1001", got, full)
		}
	})
}

// A dead exporter is tried now and then, what it does not take is not converted, and
// when it is back it gets what is new within seconds.
func TestADeadExporterCostsNoConversion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		e := &exporter{answer: func(context.Context, int) error {
			if down.Load() {
				return errors.New("connection refused")
			}
			return nil
		}}
		s := New([]Exporter{e}, Options{})
		const seconds, hops = 60, 10_000 // a second
		converted := 0
		for range seconds * 10 {
			for range hops / 10 {
				before := 0
				if len(s.open) > 0 {
					before = s.open[0].spans
				}
				s.Observe(okHop(nil))
				if after := s.open[0].spans; after != before {
					converted++
				}
			}
			s.Tick(time.Now())
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			if w := s.queues[0].Waiting(); w > 2<<20 {
				t.Fatalf("%d bytes wait, more than %d", w, 2<<20)
			}
		}
		// One batch for each try, and once what may wait.
		if n := e.called(); n > 6+seconds/5+1 || converted > hops+n*maxBatchSpans {
			t.Errorf("%d tries, and %d of %d hops were converted", n, converted, seconds*hops)
		}
		if d := lostSpans(s); d["spans/queue_full"]+d["spans/export_failed"] < (seconds-2)*hops {
			t.Errorf("dropped %v", d)
		}
		down.Store(false)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		before := e.seen()
		s.Observe(okHop(nil))
		s.Tick(time.Now())
		synctest.Wait()
		if e.seen() != before+1 {
			t.Errorf("%d spans were sent after %d", e.seen(), before)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		d := lostSpans(s)
		if sum := d["spans/queue_full"] + d["spans/export_failed"] + e.seen(); sum != seconds*hops+1 {
			t.Errorf("dropped %v and sent %d, which is not the sum of %d", d, e.seen(), seconds*hops+1)
		}
	})
}

// An exporter that rests is closed at once, and tries once more to send what waits.
func TestARestEndsWithClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &exporter{answer: func(_ context.Context, call int) error {
			if call <= 7 { // the rest is of seconds by now
				return errors.New("connection refused")
			}
			return nil
		}}
		s := New([]Exporter{e}, Options{})
		for e.called() < 7 {
			s.Observe(okHop(nil))
			s.Tick(time.Now())
			time.Sleep(time.Second)
			synctest.Wait()
		}
		s.Observe(okHop(nil))
		began := time.Now()
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 0 || e.seen() == 0 {
			t.Errorf("Close took %v, and %d spans were sent", took, e.seen())
		}
	})
}

func TestRejectedSpansAreCounted(t *testing.T) {
	e := &exporter{answer: func(context.Context, int) error {
		return errors.Join(errors.New("partial"), &delivery.RejectedError{Items: 1, Message: "no thanks"})
	}}
	s := New([]Exporter{e}, Options{})
	s.Observe(okHop(nil))
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := lostSpans(s); len(d) != 1 || d["spans/rejected"] != 1 {
		t.Errorf("dropped %v, want one rejected span", d)
	}
}

// A batch that waits is not much larger than what is in it, or the limit on
// what waits would be none.
func TestSmallBatchesAreSmall(t *testing.T) {
	var capacity int
	e := &exporter{each: func(b *Batch) { capacity = cap(b.out) }}
	s := New([]Exporter{e}, Options{})
	s.Observe(okHop(nil))
	s.open[0].out = append(make([]byte, 0, maxBatchBytes), s.open[0].out...)
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if capacity > 8<<10 || e.seen() != 1 {
		t.Errorf("%d spans waited in %d bytes", e.seen(), capacity)
	}
}

func TestObserveDoesNotAllocate(t *testing.T) {
	s := &Spans{}
	s.queues = []*delivery.Queue[*Batch]{{}}
	s.open = []*Batch{{owner: s, origin: newOrigin("web", Options{})}}
	h := okHop(nil)
	if n := testing.AllocsPerRun(100, func() {
		s.Observe(h)
		s.open[0].out, s.open[0].spans = s.open[0].out[:0], 0
	}); n != 0 {
		t.Errorf("%v allocations a hop, want none", n)
	}
}
