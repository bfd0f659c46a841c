package delivery

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
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// batch is one of n items that counts how often it was released.
type batch struct {
	n, size  int
	released *atomic.Int64
}

func (b batch) Len() int  { return b.n }
func (b batch) Size() int { return b.size }
func (b batch) Release()  { b.released.Add(1) }

// exporter answers as its function says.
type exporter struct {
	answer func(ctx context.Context, call int) error

	mu     sync.Mutex
	calls  int
	items  int
	closed int
}

func (e *exporter) Name() string { return "test" }

func (e *exporter) Export(ctx context.Context, b batch) error {
	e.mu.Lock()
	e.calls++
	call := e.calls
	e.mu.Unlock()
	if err := e.answer(ctx, call); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.items += b.n
	return nil
}

func (e *exporter) Close(context.Context) error { e.closed++; return nil }

func (e *exporter) seen() (calls, items int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls, e.items
}

func lost(q *Queue[batch]) map[string]int {
	m := make(map[string]int)
	q.Dropped(func(value float64, reason string) {
		if value > 0 {
			m[reason] = int(value)
		}
	})
	return m
}

func stop(t *testing.T, q *Queue[batch]) {
	t.Helper()
	q.End()
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Little traffic fills the count of batches, not their bytes; and what is not sent when
// the time to close is up is an error, counted and released.
func TestManySmallBatchesAreBounded(t *testing.T) {
	released := new(atomic.Int64)
	q := Start(&exporter{answer: func(ctx context.Context, _ int) error {
		<-ctx.Done()
		return ctx.Err()
	}}, Options{What: "items"})
	for range 2 * maxQueued {
		q.Offer(batch{1, 1, released})
	}
	full := lost(q)["queue_full"]
	if full < maxQueued-1 || full > maxQueued {
		t.Errorf("%d items dropped, want about %d", full, maxQueued)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	q.End()
	if err := q.Close(ctx); err == nil || !strings.Contains(err.Error(), "items could not be sent in time") {
		t.Errorf("Close: %v, want that items were lost", err)
	}
	if d := lost(q); d["queue_full"]+d["closed"] != 2*maxQueued || released.Load() != 2*maxQueued {
		t.Errorf("dropped %v and released %d of %d", d, released.Load(), 2*maxQueued)
	}
}

// An exporter that is down for ten minutes is spoken of once a minute, and its return
// once.
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
		q := Start(e, Options{What: "items", Log: slog.New(slog.NewTextHandler(&log, nil))})
		released := new(atomic.Int64)
		second := func() {
			q.Offer(batch{1, 1, released})
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
		stop(t, q)
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
		d := lost(q)
		if _, items := e.seen(); len(d) != 2 || d["export_failed"]+d["queue_full"]+items != 700 {
			t.Errorf("dropped %v and sent %d of 700 items", d, items)
		}
		if e.closed != 1 {
			t.Errorf("closed %d times", e.closed)
		}
	})
}

// A collector that asks to wait is left alone for that long, and gets the same batch
// again then.
func TestAThrottledBatchIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		e := &exporter{answer: func(_ context.Context, call int) error {
			switch call {
			case 1:
				return &ThrottledError{After: 30 * time.Second, Err: errors.New("busy")}
			case 2:
				return &ThrottledError{After: 24 * time.Hour, Err: errors.New("busy")}
			}
			return nil
		}}
		q := Start(e, Options{What: "items", Log: slog.New(slog.NewTextHandler(&log, nil))})
		released := new(atomic.Int64)
		calls := func(after time.Duration, want int) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if calls, _ := e.seen(); calls != want {
				t.Errorf("%d calls, want %d", calls, want)
			}
		}
		q.Offer(batch{3, 1, released})
		calls(29*time.Second, 1)
		calls(2*time.Second, 2)
		calls(longestThrottle-2*time.Second, 2)
		calls(2*time.Second, 3)
		stop(t, q)
		if _, items := e.seen(); items != 3 || len(lost(q)) != 0 || released.Load() != 1 {
			t.Errorf("%d items sent, dropped %v, released %d times", items, lost(q), released.Load())
		}
		if !strings.Contains(log.String(), "items wait") || strings.Contains(log.String(), "items are lost\"") {
			t.Errorf("the log does not say that they wait:\n%s", log.String())
		}
	})
}

// Closing does not wait for as long as a collector likes.
func TestCloseEndsThrottling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &exporter{answer: func(context.Context, int) error {
			return &ThrottledError{After: time.Minute, Err: errors.New("busy")}
		}}
		q := Start(e, Options{What: "items"})
		released := new(atomic.Int64)
		q.Offer(batch{1, 1, released})
		q.Offer(batch{1, 1, released})
		synctest.Wait()
		began := time.Now()
		stop(t, q)
		if took := time.Since(began); took != 0 {
			t.Errorf("Close took %v", took)
		}
		if d := lost(q); d["export_failed"] != 2 || released.Load() != 2 {
			t.Errorf("dropped %v, released %d of 2", d, released.Load())
		}
	})
}
