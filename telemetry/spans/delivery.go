package spans

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

const (
	// maxQueued limits how many batches wait for an exporter: half a minute of light
	// traffic at ten Ticks a second.
	maxQueued = 300
	// firstRest is how long an exporter rests after a failure. Each further failure
	// doubles the rest, up to longestRest. So a dead collector costs few tries, and its
	// return is noticed soon.
	firstRest   = 100 * time.Millisecond
	longestRest = 5 * time.Second
	// restingBytes limits the bytes that wait for an exporter that has failed, since it
	// may be away for long.
	restingBytes = 2 << 20
	// warnEvery is the minimum time between two warnings about a failing exporter.
	warnEvery = time.Minute
	// maxErrorText is how many bytes of an exporter's error are logged, since the other
	// end influences it.
	maxErrorText = 400
)

// RejectedError is what an exporter returns when the collector took the batch
// but refused some of its spans. They must not be sent again.
type RejectedError struct {
	Spans   int    // how many were refused; 0 where the collector only warned
	Message string // what the collector said
}

func (e *RejectedError) Error() string {
	return fmt.Sprintf("the collector refused %d spans: %s", e.Spans, e.Message)
}

// delivery takes batches to one exporter, one after the other, in a goroutine
// of its own.
type delivery struct {
	spans    *Spans
	exporter Exporter
	queue    chan *Batch
	waiting  atomic.Int64 // bytes in queue and in Export
	failing  atomic.Bool  // the last Export failed
	// crowded is true from when a batch found no room until there may be room again.
	// Meanwhile it is not worth making one.
	crowded atomic.Bool

	closing chan struct{}   // closed when no more batches come; ends a rest
	ctx     context.Context // ends when the time to close is up
	cancel  context.CancelFunc
	ended   chan struct{}

	// The state of the goroutine's reports.
	warned    time.Time // when it last warned
	troubled  bool      // it has warned, and not yet reported the end
	dropsSeen uint64    // how many drops there were at the last report
	failed    bool      // spans lost by a failed Export
}

func startDelivery(e Exporter, s *Spans) *delivery {
	d := &delivery{
		spans:    s,
		exporter: e,
		queue:    make(chan *Batch, maxQueued),
		closing:  make(chan struct{}),
		ended:    make(chan struct{}),
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	go d.run()
	return d
}

// offer queues b, or reports that there is no room. An empty queue takes a
// batch of any size.
func (d *delivery) offer(b *Batch) bool {
	size, most := int64(len(b.out)), int64(d.spans.options.QueueBytes)
	if d.failing.Load() {
		most = min(most, restingBytes)
	}
	if w := d.waiting.Load(); w == 0 || w+size <= most {
		d.waiting.Add(size)
		select {
		case d.queue <- b:
			return true
		default:
			d.waiting.Add(-size)
		}
	}
	d.crowded.Store(true)
	if d.waiting.Load() == 0 { // the last batch has just left
		d.crowded.Store(false)
	}
	return false
}

func (d *delivery) run() {
	defer close(d.ended)
	rest := firstRest
	for b := range d.queue {
		size := int64(len(b.out))
		if d.ctx.Err() != nil {
			d.spans.dropped.closed.Add(uint64(b.spans))
		} else {
			d.failing.Store(!d.export(b))
		}
		d.spans.done(b)
		d.waiting.Add(-size)
		d.crowded.Store(false)
		if !d.failing.Load() {
			rest = firstRest
			continue
		}
		d.rest(rest)
		rest = min(2*rest, longestRest)
	}
}

// rest waits, unless the exporter is being closed.
func (d *delivery) rest(long time.Duration) {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-d.closing:
	}
}

// export sends b, and reports whether the exporter works. It works even if some spans
// were refused.
func (d *delivery) export(b *Batch) (works bool) {
	err := d.exporter.Export(d.ctx, b)
	dropped := &d.spans.dropped
	var rejected *RejectedError
	switch {
	case err == nil:
	case errors.As(err, &rejected):
		dropped.rejected.Add(uint64(max(0, min(rejected.Spans, b.spans))))
	case d.ctx.Err() != nil:
		dropped.closed.Add(uint64(b.spans))
	default:
		dropped.failed.Add(uint64(b.spans))
	}
	d.report(time.Now(), err)
	return err == nil || rejected != nil
}

// report logs trouble at most once every warnEvery, and its end once. Only the exporting
// goroutine calls it, since a log may block.
func (d *delivery) report(now time.Time, err error) {
	c := &d.spans.dropped
	drops := c.queueFull.Load() + c.failed.Load() + c.rejected.Load()
	// Drops during the rest need no report once it works again.
	fine := err == nil && (drops == d.dropsSeen || d.failed)
	d.dropsSeen, d.failed = drops, err != nil
	if fine {
		if d.troubled {
			d.troubled = false
			d.spans.options.Log.Info("exporting spans works again", "exporter", d.exporter.Name())
		}
		return
	}
	if !d.warned.IsZero() && now.Sub(d.warned) < warnEvery {
		return
	}
	reason := "the exporter is slower than the traffic"
	if err != nil {
		reason = err.Error()
		reason = reason[:min(len(reason), maxErrorText)]
	}
	d.spans.options.Log.Warn("spans are lost", "exporter", d.exporter.Name(), "reason", reason,
		slog.Group("dropped_so_far", "queue_full", c.queueFull.Load(),
			"export_failed", c.failed.Load(), "rejected", c.rejected.Load()))
	d.warned, d.troubled = now, true
}

// close waits until the queued batches are sent or ctx ends, and closes the exporter. The
// queue must be closed before.
func (d *delivery) close(ctx context.Context) error {
	select {
	case <-d.ended:
	case <-ctx.Done():
		d.cancel()
		<-d.ended
	}
	d.cancel()
	if err := d.exporter.Close(ctx); err != nil {
		return fmt.Errorf("%s: %w", d.exporter.Name(), err)
	}
	return nil
}
