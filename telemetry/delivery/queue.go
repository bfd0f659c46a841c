package delivery

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
	// traffic at ten batches a second.
	maxQueued = 300
	// firstRest is how long an exporter rests after a failure. Each further failure
	// doubles the rest, up to longestRest. So a dead collector costs few tries, and its
	// return is noticed soon.
	firstRest   = 100 * time.Millisecond
	longestRest = 5 * time.Second
	// longestThrottle is the longest wait that a collector can ask for.
	longestThrottle = 5 * time.Minute
	// restingBytes limits the bytes that wait for an exporter that has failed, since it
	// may be away for long.
	restingBytes = 2 << 20
	// warnEvery is the minimum time between two warnings about a failing exporter.
	warnEvery = time.Minute
	// maxErrorText is how many bytes of an exporter's error are logged, since the other
	// end influences it.
	maxErrorText = 400
)

// Batch is what a Queue takes to an exporter.
type Batch interface {
	// Len is how many spans or records it has.
	Len() int
	// Size is how many bytes it has.
	Size() int
	// Release says that the queue no longer needs it. It is called once for each queue
	// that the batch was offered to.
	Release()
}

// Exporter sends batches somewhere. Its methods are called one after the other.
type Exporter[B Batch] interface {
	// Name names it in logs and metrics. It shows no secret.
	Name() string
	// Export sends b, with retries where they make sense, within ctx and its own time
	// limit. On an error the batch is lost, and the exporter rests before the next one,
	// with two exceptions: a [RejectedError] means that only some of it is lost and that
	// the exporter works, a [ThrottledError] that the batch is to be sent again.
	Export(ctx context.Context, b B) error
	// Close ends the exporter within ctx. No Export is running then.
	Close(ctx context.Context) error
}

// Options configure a Queue.
type Options struct {
	// What names what is delivered in the log, in the plural: "spans".
	What string
	// Bytes limits what waits for the exporter, in bytes; default 16 MiB.
	Bytes int
	// Log receives warnings, at most one a minute; default is to discard them.
	Log *slog.Logger
}

// Queue takes batches to one exporter, one after the other, in a goroutine of its own. Of
// its methods, one goroutine calls Offer, Skip, End and Close; any may call the others.
type Queue[B Batch] struct {
	options  Options
	exporter Exporter[B]
	queue    chan B
	waiting  atomic.Int64 // bytes in queue and in Export
	failing  atomic.Bool  // the last Export failed
	// crowded is true from when a batch found no room until there may be room again.
	crowded atomic.Bool
	dropped struct{ full, failed, rejected, closed atomic.Uint64 }

	closing chan struct{}   // closed when no more batches come; ends a rest
	ctx     context.Context // ends when the time to close is up
	cancel  context.CancelFunc
	ended   chan struct{}
	reports reports
}

// Start starts the delivery to an exporter, which the Queue owns from then on. End and
// then Close end both.
func Start[B Batch](e Exporter[B], o Options) *Queue[B] {
	if o.Bytes <= 0 {
		o.Bytes = 16 << 20
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	q := &Queue[B]{
		options:  o,
		exporter: e,
		queue:    make(chan B, maxQueued),
		closing:  make(chan struct{}),
		ended:    make(chan struct{}),
	}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	go q.run()
	return q
}

// Name is the exporter's.
func (q *Queue[B]) Name() string { return q.exporter.Name() }

// Crowded reports whether a batch has found no room since there was some. It is not worth
// making another one meanwhile: see Skip.
func (q *Queue[B]) Crowded() bool { return q.crowded.Load() }

// Skip counts items as lost for want of room, without a batch that they are in.
func (q *Queue[B]) Skip(items int) { q.dropped.full.Add(uint64(items)) }

// Waiting returns how many bytes wait or are being sent.
func (q *Queue[B]) Waiting() int64 { return q.waiting.Load() }

// Offer queues b. If there is no room, the batch is lost, counted and released. An empty
// queue takes a batch of any size.
func (q *Queue[B]) Offer(b B) {
	size, most := int64(b.Size()), int64(q.options.Bytes)
	if q.failing.Load() {
		most = min(most, restingBytes)
	}
	if w := q.waiting.Load(); w == 0 || w+size <= most {
		q.waiting.Add(size)
		select {
		case q.queue <- b:
			return
		default:
			q.waiting.Add(-size)
		}
	}
	q.crowded.Store(true)
	if q.waiting.Load() == 0 { // the last batch has just left
		q.crowded.Store(false)
	}
	q.Skip(b.Len())
	b.Release()
}

func (q *Queue[B]) run() {
	defer close(q.ended)
	rest := firstRest
	for b := range q.queue {
		size := int64(b.Size())
		works := q.deliver(b)
		q.failing.Store(!works)
		b.Release()
		q.waiting.Add(-size)
		q.crowded.Store(false)
		if works {
			rest = firstRest
			continue
		}
		q.rest(rest)
		rest = min(2*rest, longestRest)
	}
}

// deliver sends b, again and again while the collector asks for that, and reports whether
// the exporter works.
func (q *Queue[B]) deliver(b B) (works bool) {
	for {
		if q.ctx.Err() != nil {
			q.dropped.closed.Add(uint64(b.Len()))
			return false
		}
		err := q.exporter.Export(q.ctx, b)
		var throttled *ThrottledError
		again := errors.As(err, &throttled) && !q.isClosing()
		if !again {
			works = q.count(b.Len(), err)
		}
		q.report(time.Now(), err)
		if !again {
			return works
		}
		q.failing.Store(true)
		q.rest(min(throttled.After, longestThrottle))
	}
}

// count counts what was lost by an Export, and reports whether the exporter works. It
// works even if some items were refused.
func (q *Queue[B]) count(items int, err error) (works bool) {
	var rejected *RejectedError
	switch {
	case err == nil:
	case errors.As(err, &rejected):
		q.dropped.rejected.Add(uint64(max(0, min(rejected.Items, items))))
	case q.ctx.Err() != nil:
		q.dropped.closed.Add(uint64(items))
		return false
	default:
		q.dropped.failed.Add(uint64(items))
		return false
	}
	return true
}

// rest waits, unless the exporter is being closed.
func (q *Queue[B]) rest(long time.Duration) {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-q.closing:
	}
}

func (q *Queue[B]) isClosing() bool {
	select {
	case <-q.closing:
		return true
	default:
		return false
	}
}

// End says that no more batches come. It does not wait.
func (q *Queue[B]) End() {
	close(q.closing)
	close(q.queue)
}

// Close waits until the queued batches are sent or ctx ends, and closes the exporter. What
// is not sent by then is lost, counted, and an error. Call End before.
func (q *Queue[B]) Close(ctx context.Context) error {
	select {
	case <-q.ended:
	case <-ctx.Done():
		q.cancel()
		<-q.ended
	}
	q.cancel()
	err := q.exporter.Close(ctx)
	if n := q.dropped.closed.Load(); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d %s could not be sent in time: %w", n, q.options.What, context.Cause(ctx)))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", q.Name(), err)
	}
	return nil
}

// Dropped calls emit with the number of lost items so far by reason: "queue_full", the
// exporter was slower than the traffic, or failed, and rests; "export_failed", it could
// not send them; "rejected", the collector did not want them; "closed", the time to end
// was up.
func (q *Queue[B]) Dropped(emit func(value float64, reason string)) {
	emit(float64(q.dropped.full.Load()), "queue_full")
	emit(float64(q.dropped.failed.Load()), "export_failed")
	emit(float64(q.dropped.rejected.Load()), "rejected")
	emit(float64(q.dropped.closed.Load()), "closed")
}
