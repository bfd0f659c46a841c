package spans

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// A batch is closed when it reaches one of these limits, or at a Tick. Collectors refuse
// messages above 4 MiB; even a hop with the longest texts and many attempts fits into the
// rest. gRPC reuses its buffers for messages of up to 1 MiB.
const (
	maxBatchSpans = 2048
	maxBatchBytes = 768 << 10
)

// Exporter sends batches somewhere. Its methods are called one after the other.
type Exporter interface {
	// Name names it in logs.
	Name() string
	// Export sends b, with retries where they make sense, within ctx and its own time
	// limit. On an error the spans of the batch are lost, and the exporter rests before
	// the next one. A [RejectedError] means that only some spans are lost and that the
	// exporter works.
	Export(ctx context.Context, b *Batch) error
	// Close ends the exporter within ctx. No Export is running then.
	Close(ctx context.Context) error
}

// Options configure the spans and their queues. The zero value is right for production.
type Options struct {
	// Version is hopscope's own version; default is none.
	Version string
	// HostName is the resource's host.name; default is the machine's.
	HostName string
	// QueueBytes limits what waits for each exporter, in bytes; default
	// 16 MiB.
	QueueBytes int
	// Log receives warnings about exporters, at most one a minute for each;
	// default is to discard them.
	Log *slog.Logger
}

// Spans is the view. It implements record.View.
type Spans struct {
	options    Options
	deliveries []*delivery
	open       []*Batch  // one for each service, and there is mostly one
	free       sync.Pool // of *Batch
	dropped    drops
}

// drops counts lost spans by reason.
type drops struct{ queueFull, failed, rejected, closed, noTrace atomic.Uint64 }

// New starts the delivery to exporters, and owns them. Call [Spans.Close] to end them.
func New(exporters []Exporter, o Options) *Spans {
	if o.HostName == "" {
		o.HostName, _ = os.Hostname() // without a name the attribute is left out
	}
	if o.QueueBytes <= 0 {
		o.QueueBytes = 16 << 20
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Spans{options: o}
	for _, e := range exporters {
		s.deliveries = append(s.deliveries, startDelivery(e, s))
	}
	return s
}

// Name implements record.View.
func (s *Spans) Name() string { return "spans" }

// Observe converts the hop to spans if they are kept. It never waits: spans that
// exporters can't take are dropped and counted. If no exporter has room, it does not even
// convert them.
func (s *Spans) Observe(h *hop.Hop) {
	if h.Keep == hop.KeepNot || len(s.deliveries) == 0 {
		return
	}
	if h.Trace.IsZero() || h.Span.IsZero() {
		s.dropped.noTrace.Add(1) // a collector would refuse its whole batch
		return
	}
	if s.crowded() {
		s.dropped.queueFull.Add(uint64(spansOf(h) * len(s.deliveries)))
		return
	}
	i := s.batchOf(h.Labels.Service)
	b := s.open[i]
	b.hop(h)
	if b.spans >= maxBatchSpans || len(b.out) >= maxBatchBytes {
		s.open[i] = s.batch(b.resource)
		s.hand(b)
	}
}

// crowded reports whether no exporter has room. Converting a hop is the most expensive
// step.
func (s *Spans) crowded() bool {
	for _, d := range s.deliveries {
		if !d.crowded.Load() {
			return false
		}
	}
	return true
}

// spansOf is how many spans a hop is.
func spansOf(h *hop.Hop) int {
	n := 1
	if h.Only() != nil {
		return n
	}
	for i := range h.Attempts {
		if !h.Attempts[i].Span.IsZero() {
			n++
		}
	}
	return n
}

// Tick passes the open batches to the exporters. Ticks come a tenth of a second apart, so
// a user waits that long for a span.
func (s *Spans) Tick(time.Time) { s.flush() }

// Close passes on the open batches, waits within ctx until the exporters have sent
// everything, and ends them. Spans that are not sent by then are dropped and counted.
func (s *Spans) Close(ctx context.Context) error {
	s.flush()
	for _, d := range s.deliveries {
		close(d.closing)
		close(d.queue)
	}
	var errs []error
	for _, d := range s.deliveries {
		errs = append(errs, d.close(ctx))
	}
	return errors.Join(errs...)
}

// Dropped calls emit with the number of lost spans so far for each pair of the labels
// view and reason, for a metric that is read at each scrape: "queue_full", an exporter
// was slower than the traffic, or failed, and rests; "export_failed", it could not send
// them; "rejected", the collector did not want them; "closed", the time to end was up;
// and "no_trace", a hop (not a span) without ids.
func (s *Spans) Dropped(emit func(value float64, labelValues ...string)) {
	for _, d := range []struct {
		count  *atomic.Uint64
		reason string
	}{
		{&s.dropped.queueFull, "queue_full"},
		{&s.dropped.failed, "export_failed"},
		{&s.dropped.rejected, "rejected"},
		{&s.dropped.closed, "closed"},
		{&s.dropped.noTrace, "no_trace"},
	} {
		emit(float64(d.count.Load()), s.Name(), d.reason)
	}
}

// batchOf returns the index in s.open of the service's batch.
func (s *Spans) batchOf(service string) int {
	for i, b := range s.open {
		if b.resource.service == service {
			return i
		}
	}
	s.open = append(s.open, s.batch(newResource(service, s.options)))
	return len(s.open) - 1
}

// batch returns an empty batch.
func (s *Spans) batch(r *resource) *Batch {
	b, ok := s.free.Get().(*Batch)
	if !ok {
		b = new(Batch)
	}
	b.resource = r
	return b
}

// flush passes on all open batches that are not empty.
func (s *Spans) flush() {
	for i, b := range s.open {
		if b.spans > 0 {
			s.open[i] = s.batch(b.resource)
			s.hand(b)
		}
	}
}

// hand gives b to every exporter's queue.
func (s *Spans) hand(b *Batch) {
	if cap(b.out) > 4*len(b.out) && cap(b.out) > 64<<10 {
		// A queue is bounded by the content of its batches, so their buffers must not be
		// much larger.
		small := &Batch{resource: b.resource}
		small.out = append([]byte(nil), b.out...)
		small.spans = b.spans
		s.release(b)
		b = small
	}
	b.users.Store(int32(len(s.deliveries)))
	for _, d := range s.deliveries {
		if !d.offer(b) {
			s.dropped.queueFull.Add(uint64(b.spans))
			s.done(b)
		}
	}
}

// done says that one exporter no longer needs b.
func (s *Spans) done(b *Batch) {
	if b.users.Add(-1) == 0 {
		s.release(b)
	}
}

func (s *Spans) release(b *Batch) {
	b.out, b.spans, b.resource = b.out[:0], 0, nil
	s.free.Put(b)
}
