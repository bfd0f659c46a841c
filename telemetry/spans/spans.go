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

// A batch is closed when it reaches one of these; a Tick closes it earlier.
// Collectors refuse messages of more than 4 MiB, and a hop of the longest texts
// and many attempts is far from filling the rest; up to 1 MiB gRPC marshals
// into buffers that it uses again.
const (
	maxBatchSpans = 2048
	maxBatchBytes = 768 << 10
)

// Exporter sends batches somewhere. Its methods are called one after the other.
type Exporter interface {
	// Name names it in logs.
	Name() string
	// Export sends b, and retries where that makes sense, within ctx and a
	// time limit of its own. The spans of a batch that failed are lost, and the
	// exporter rests before the next. An error that is a [RejectedError] says that
	// only some of them are, and that it works.
	Export(ctx context.Context, b *Batch) error
	// Close ends it within ctx; what Export was given has been sent.
	Close(ctx context.Context) error
}

// Options are how spans look and how many may wait. The zero value is right
// for production.
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
	open       []*Batch  // one for each service, of which there is mostly one
	free       sync.Pool // of *Batch
	dropped    drops
}

// drops counts lost spans by reason.
type drops struct{ queueFull, failed, rejected, closed, noTrace atomic.Uint64 }

// New starts the delivery to exporters, which it owns from now on: the caller
// ends them with [Spans.Close].
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

// Observe converts the hop to spans if they are kept. It never waits: what
// exporters can't take is dropped and counted, and not even converted where none of
// them has room.
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

// crowded reports whether no exporter has room: to convert a hop costs more than all
// else that is done with it.
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
	for i := range h.Attempts {
		if !h.Attempts[i].Span.IsZero() {
			n++
		}
	}
	return n
}

// Tick hands what was gathered to the exporters. record's Ticks come a tenth
// of a second apart, and that is how long a user waits for a span.
func (s *Spans) Tick(time.Time) { s.flush() }

// Close hands on what was gathered, waits within ctx until the exporters have
// sent what they were given, and ends them. What is not sent by then is
// dropped and counted.
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

// Dropped tells emit how many spans were lost so far, with the labels view and
// reason, as a metric that is read at each scrape wants it: "queue_full", an
// exporter was slower than the traffic, or failed, and rests; "export_failed", it
// could not send them; "rejected", the collector did not want them; "closed", the time to end
// was up; and "no_trace", a hop (not a span) without ids.
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

// flush hands on all open batches that are not empty.
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
		// A queue is bounded by what is in its batches, so they must not be
		// much larger than that.
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

// done says that one exporter has no more use for b.
func (s *Spans) done(b *Batch) {
	if b.users.Add(-1) == 0 {
		s.release(b)
	}
}

func (s *Spans) release(b *Batch) {
	b.out, b.spans, b.resource = b.out[:0], 0, nil
	s.free.Put(b)
}
