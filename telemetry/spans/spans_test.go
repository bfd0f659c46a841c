package spans

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/record"
)

var _ record.View = (*Spans)(nil)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// exporter answers as its function says and remembers what it was given.
type exporter struct {
	answer func(ctx context.Context, call int) error

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
			m[strings.Join(labels, "/")] = int(value)
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
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
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
		if w := s.deliveries[0].waiting.Load(); w > 100<<10 || w < 90<<10 {
			t.Errorf("%d bytes wait, want just under %d", w, 100<<10)
		}
		full := lostSpans(s)["spans/queue_full"]
		if full < 850 {
			t.Errorf("only %d spans dropped", full)
		}
		close(release)
		synctest.Wait()
		if w := s.deliveries[0].waiting.Load(); w != 0 {
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

// Little traffic fills the count of batches, not their bytes.
func TestManySmallBatchesAreBounded(t *testing.T) {
	stuck := &exporter{answer: hang}
	s := New([]Exporter{stuck}, Options{})
	for range 2 * maxQueued {
		s.Observe(okHop(nil))
		s.Tick(time.Time{})
	}
	if full := lostSpans(s)["spans/queue_full"]; full < maxQueued-2 {
		t.Errorf("%d spans dropped, want at least %d", full, maxQueued-2)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

// A collector that is down for ten minutes is spoken of once a minute, and its
// return once.
func TestWarningsAreThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var down atomic.Bool
		down.Store(true)
		e := &exporter{answer: func(context.Context, int) error {
			if down.Load() {
				return errors.New("connection refused: " + strings.Repeat("x", 2*maxErrorText))
			}
			return nil
		}}
		s := New([]Exporter{e}, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		second := func() {
			s.Observe(okHop(nil))
			s.Tick(time.Now())
			time.Sleep(time.Second)
			synctest.Wait()
		}
		for range 600 {
			second()
		}
		down.Store(false)
		for range 100 {
			second()
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 11 {
			t.Fatalf("%d lines in the log, want ten warnings and one all-clear:\n%s", len(lines), log.String())
		}
		if !strings.Contains(lines[0], "connection refused") || !strings.Contains(lines[0], "export_failed=1") {
			t.Errorf("the warning does not say what happened: %s", lines[0])
		}
		if len(lines[0]) > maxErrorText+300 {
			t.Errorf("a warning of %d bytes", len(lines[0]))
		}
		if !strings.Contains(lines[10], "again") {
			t.Errorf("the last line is no all-clear: %s", lines[10])
		}
		d := lostSpans(s)
		if sum := d["spans/export_failed"] + d["spans/queue_full"]; len(d) != 2 || sum+e.seen() != 700 {
			t.Errorf("dropped %v and sent %d of 700 spans", d, e.seen())
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
			if w := s.deliveries[0].waiting.Load(); w > restingBytes {
				t.Fatalf("%d bytes wait, more than %d", w, restingBytes)
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
		time.Sleep(longestRest)
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
		return errors.Join(errors.New("partial"), &RejectedError{Spans: 1, Message: "no thanks"})
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
	s := &Spans{}
	d := &delivery{spans: s, queue: make(chan *Batch, 1)}
	s.options.QueueBytes = 1 << 20
	s.deliveries = []*delivery{d}
	s.Observe(okHop(nil))
	s.open[0].out = append(make([]byte, 0, maxBatchBytes), s.open[0].out...)
	s.flush()
	b := <-d.queue
	if cap(b.out) > 8<<10 || b.Len() != 1 {
		t.Errorf("%d spans wait in %d bytes", b.Len(), cap(b.out))
	}
	if spans, err := b.Spans(); err != nil || len(spans) != 1 {
		t.Errorf("the copy holds %d spans: %v", len(spans), err)
	}
}

func TestObserveDoesNotAllocate(t *testing.T) {
	s := &Spans{}
	s.deliveries = []*delivery{{spans: s}}
	s.open = []*Batch{{resource: newResource("web", Options{})}}
	h := okHop(nil)
	if n := testing.AllocsPerRun(100, func() {
		s.Observe(h)
		s.open[0].out, s.open[0].spans = s.open[0].out[:0], 0
	}); n != 0 {
		t.Errorf("%v allocations a hop, want none", n)
	}
}
