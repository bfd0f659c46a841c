package otlplogs

import (
	"context"
	"log/slog"
	"sync/atomic"

	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/hopscope/hopscope/telemetry/collector"
	"github.com/hopscope/hopscope/telemetry/delivery"
	"github.com/hopscope/hopscope/telemetry/resource"
)

// maxBatchBytes is the size from which a batch is closed. Collectors refuse messages above
// 4 MiB.
const maxBatchBytes = 768 << 10

// Options configure Logs. The zero value but for Service is right for production.
type Options struct {
	// Service is the resource's service.name.
	Service string
	// Resource describes this process.
	Resource resource.Options
	// QueueBytes limits what waits for the collector, in bytes; default 16 MiB.
	QueueBytes int
	// Log receives warnings, at most one a minute; default is to discard them.
	Log *slog.Logger
}

// Logs sends log records to one collector. One goroutine calls Export and Close; any may
// call Dropped.
type Logs struct {
	origin *logspb.ResourceLogs // without records
	queue  *delivery.Queue[*batch]
	broken atomic.Uint64 // records that can't be encoded
}

// New starts the delivery. It returns an error only for invalid options. Call [Logs.Close]
// to end it.
func New(c collector.Options, o Options) (*Logs, error) {
	client, err := collector.New(collector.Logs, c)
	if err != nil {
		return nil, err
	}
	l := &Logs{origin: &logspb.ResourceLogs{
		Resource:  resource.New(o.Service, o.Resource),
		ScopeLogs: []*logspb.ScopeLogs{{Scope: resource.Scope(o.Resource), SchemaUrl: resource.SchemaURL}},
		SchemaUrl: resource.SchemaURL,
	}}
	l.queue = delivery.Start(&exporter{client, l.origin}, delivery.Options{What: "log records", Bytes: o.QueueBytes, Log: o.Log})
	return l, nil
}

// Export queues records, and never waits. Those for which there is no room are lost and
// counted. It keeps none of them: they may be used again. Call it with what a tenth of a
// second brings, not with each record: every call makes a message of its own.
func (l *Logs) Export(records []*logspb.LogRecord) {
	if l.queue.Crowded() {
		l.queue.Skip(len(records))
		return
	}
	b := &batch{}
	for _, r := range records {
		if len(b.wire) >= maxBatchBytes {
			l.queue.Offer(b)
			b = &batch{}
		}
		if !b.add(r) {
			l.broken.Add(1)
		}
	}
	if b.records > 0 {
		l.queue.Offer(b)
	}
}

// Dropped calls emit with the number of lost records so far by reason: those of
// [delivery.Queue.Dropped], and "invalid" for records with text that is not UTF-8.
func (l *Logs) Dropped(emit func(value float64, reason string)) {
	l.queue.Dropped(emit)
	emit(float64(l.broken.Load()), "invalid")
}

// Name names the collector in logs and metrics, without secrets.
func (l *Logs) Name() string { return l.queue.Name() }

// Close waits within ctx until all records are sent, and ends the delivery. No Export
// follows.
func (l *Logs) Close(ctx context.Context) error {
	l.queue.End()
	return l.queue.Close(ctx)
}

// batch is records in wire form: repeated fields ScopeLogs.log_records. It takes far less
// memory than the messages, and so the queue's limit is one of memory.
type batch struct {
	wire    []byte
	records int
}

const fieldLogRecords = protowire.Number(2)

// add reports whether the record could be encoded.
func (b *batch) add(r *logspb.LogRecord) bool {
	before := len(b.wire)
	size := proto.Size(r)
	b.wire = protowire.AppendTag(b.wire, fieldLogRecords, protowire.BytesType)
	b.wire = protowire.AppendVarint(b.wire, uint64(size))
	wire, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b.wire, r)
	if err != nil {
		b.wire = b.wire[:before]
		return false
	}
	b.wire = wire
	b.records++
	return true
}

func (b *batch) Len() int  { return b.records }
func (b *batch) Size() int { return len(b.wire) }
func (b *batch) Release()  {}

// exporter implements [delivery.Exporter].
type exporter struct {
	client *collector.Client
	origin *logspb.ResourceLogs
}

func (e *exporter) Name() string { return e.client.Name() }

func (e *exporter) Export(ctx context.Context, b *batch) error {
	scope := &logspb.ScopeLogs{Scope: e.origin.ScopeLogs[0].Scope, SchemaUrl: e.origin.ScopeLogs[0].SchemaUrl}
	// A message marshals unknown fields unchanged, so an ordinary one arrives.
	scope.ProtoReflect().SetUnknown(b.wire)
	return e.client.ExportLogs(ctx, []*logspb.ResourceLogs{{
		Resource: e.origin.Resource, ScopeLogs: []*logspb.ScopeLogs{scope}, SchemaUrl: e.origin.SchemaUrl,
	}})
}

func (e *exporter) Close(context.Context) error { return e.client.Close() }
