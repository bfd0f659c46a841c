package spans

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/telemetry/delivery"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// A batch is closed when it reaches one of these limits, or at a Tick. Collectors refuse
// messages above 4 MiB; even a hop with the longest texts and many attempts fits into the
// rest. gRPC reuses its buffers for messages of up to 1 MiB.
const (
	maxBatchSpans = 2048
	maxBatchBytes = 768 << 10
)

// Exporter sends batches somewhere: see [delivery.Exporter].
type Exporter = delivery.Exporter[*Batch]

// Options configure the spans and their queues. The zero value is right for production.
type Options struct {
	// Version is hopscope's own version; default is none.
	Version string
	// HostName is the resource's host.name; default is the machine's.
	HostName string
	// Attributes are further attributes of the resource: see [resource.Options].
	Attributes map[string]string
	// QueueBytes limits what waits for each exporter, in bytes; default 16 MiB.
	QueueBytes int
	// Log receives warnings about exporters, at most one a minute for each;
	// default is to discard them.
	Log *slog.Logger
}

// Spans is the view. It implements record.View.
type Spans struct {
	options Options
	queues  []*delivery.Queue[*Batch] // one for each exporter
	open    []*Batch                  // one for each service, and there is mostly one
	free    sync.Pool                 // of *Batch
	noTrace atomic.Uint64             // hops without ids
}

// New starts the delivery to exporters, and owns them. Call [Spans.Close] to end them.
func New(exporters []Exporter, o Options) *Spans {
	s := &Spans{options: o}
	for _, e := range exporters {
		s.queues = append(s.queues, delivery.Start(e, delivery.Options{What: "spans", Bytes: o.QueueBytes, Log: o.Log}))
	}
	return s
}

// Name implements record.View.
func (s *Spans) Name() string { return "spans" }

// Observe converts the hop to spans if they are kept. It never waits: spans that
// exporters can't take are dropped and counted. If no exporter has room, it does not even
// convert them.
func (s *Spans) Observe(h *hop.Hop) {
	if h.Keep == hop.KeepNot || len(s.queues) == 0 {
		return
	}
	if h.Trace.IsZero() || h.Span.IsZero() {
		s.noTrace.Add(1) // a collector would refuse its whole batch
		return
	}
	if s.crowded() {
		for _, q := range s.queues {
			q.Skip(spansOf(h))
		}
		return
	}
	i := s.batchOf(h.Labels.Service)
	b := s.open[i]
	b.hop(h)
	if b.spans >= maxBatchSpans || len(b.out) >= maxBatchBytes {
		s.open[i] = s.batch(b.origin)
		s.hand(b)
	}
}

// crowded reports whether no exporter has room. Converting a hop is the most expensive
// step.
func (s *Spans) crowded() bool {
	for _, q := range s.queues {
		if !q.Crowded() {
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
	for _, q := range s.queues {
		q.End()
	}
	var errs []error
	for _, q := range s.queues {
		errs = append(errs, q.Close(ctx))
	}
	return errors.Join(errs...)
}

// Dropped calls emit with the number of lost spans so far for each combination of the
// labels view, reason and exporter, for a metric that is read at each scrape. The reasons
// are those of [delivery.Queue.Dropped], and "no_trace", a hop (not a span) without ids,
// which has no exporter.
func (s *Spans) Dropped(emit func(value float64, labelValues ...string)) {
	for _, q := range s.queues {
		q.Dropped(func(value float64, reason string) { emit(value, s.Name(), reason, q.Name()) })
	}
	emit(float64(s.noTrace.Load()), s.Name(), "no_trace", "")
}

// batchOf returns the index in s.open of the service's batch.
func (s *Spans) batchOf(service string) int {
	for i, b := range s.open {
		if b.origin.service == service {
			return i
		}
	}
	s.open = append(s.open, s.batch(newOrigin(service, s.options)))
	return len(s.open) - 1
}

// batch returns an empty batch.
func (s *Spans) batch(o *origin) *Batch {
	b, ok := s.free.Get().(*Batch)
	if !ok {
		b = &Batch{owner: s}
	}
	b.origin = o
	return b
}

// flush passes on all open batches that are not empty.
func (s *Spans) flush() {
	for i, b := range s.open {
		if b.spans > 0 {
			s.open[i] = s.batch(b.origin)
			s.hand(b)
		}
	}
}

// hand gives b to every exporter's queue.
func (s *Spans) hand(b *Batch) {
	if cap(b.out) > 4*len(b.out) && cap(b.out) > 64<<10 {
		// A queue is bounded by the content of its batches, so their buffers must not be
		// much larger.
		small := &Batch{owner: s, origin: b.origin}
		small.out = append([]byte(nil), b.out...)
		small.spans = b.spans
		s.release(b)
		b = small
	}
	b.users.Store(int32(len(s.queues)))
	for _, q := range s.queues {
		q.Offer(b)
	}
}

func (s *Spans) release(b *Batch) {
	b.out, b.spans, b.origin = b.out[:0], 0, nil
	s.free.Put(b)
}
