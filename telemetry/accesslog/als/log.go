package als

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	alspb "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/hopscope/hopscope/telemetry/accesslog"
	"github.com/hopscope/hopscope/telemetry/delivery"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Options say where the service is, and which hops it gets.
type Options struct {
	// Address is the service's "host:port".
	Address string
	// TLS encrypts the connection, and verifies the service with the system's
	// authorities.
	TLS bool
	// Timeout limits how long the service may leave a message unread; default 10 s.
	Timeout time.Duration
	// LogName is the name of the log in each stream's identifier.
	LogName string
	// Service and Node are the cluster and the id of this proxy in the identifier.
	Service, Node string
	// Version is hopscope's own.
	Version string
	// Name is the view's name in metrics and logs; default is "access_log".
	Name string
	// Selection says which hops it gets; nil is all.
	Selection *accesslog.Selection
	// QueueBytes limits what waits for the service, in bytes; default 16 MiB.
	QueueBytes int
	// Log receives warnings, at most one a minute; default is to discard them.
	Log *slog.Logger
}

// maxBatchBytes is the size from which a batch is sent, in bytes. gRPC servers refuse
// messages above 4 MiB.
const maxBatchBytes = 256 << 10

// Log sends entries to one service. It is a record.View.
type Log struct {
	name      string
	selection *accesslog.Selection
	exporter  *exporter
	queue     *delivery.Queue[*batch]
	open      *batch
}

// New starts the delivery. The connection is made when there is something to send, so the
// service may start later. An error is one of the options. Call [Log.Close] to end it.
func New(o Options) (*Log, error) {
	e, err := newExporter(o, &alspb.StreamAccessLogsMessage_Identifier{
		LogName: o.LogName,
		Node: &corepb.Node{
			Id: o.Node, Cluster: o.Service, UserAgentName: "hopscope",
			UserAgentVersionType: &corepb.Node_UserAgentVersion{UserAgentVersion: o.Version},
		},
	})
	if err != nil {
		return nil, err
	}
	return &Log{
		name: cmp.Or(o.Name, "access_log"), selection: o.Selection, exporter: e, open: &batch{},
		queue: delivery.Start(e, delivery.Options{What: "access log entries", Bytes: o.QueueBytes, Log: o.Log}),
	}, nil
}

// Name is the view's name.
func (l *Log) Name() string { return l.name }

// Observe adds an entry for h. It never waits: entries for which there is no room are lost
// and counted.
func (l *Log) Observe(h *hop.Hop) {
	if !l.selection.Takes(h) {
		return
	}
	if l.queue.Crowded() {
		l.queue.Skip(1)
		return
	}
	l.open.add(entryOf(h))
	if len(l.open.wire) >= maxBatchBytes {
		l.Tick(time.Time{})
	}
}

// Tick passes on the entries so far.
func (l *Log) Tick(time.Time) {
	if l.open.entries > 0 {
		l.queue.Offer(l.open)
		l.open = &batch{}
	}
}

// Dropped calls emit with the number of lost entries so far, with the labels view, reason
// and exporter: see [delivery.Queue.Dropped]. "rejected" are those of a stream that the
// service ended with an error.
func (l *Log) Dropped(emit func(value float64, labelValues ...string)) {
	l.queue.Dropped(func(value float64, reason string) {
		if reason == "rejected" {
			value += float64(l.exporter.lost.Load())
		}
		emit(value, l.name, reason, l.queue.Name())
	})
}

// Close waits within ctx until the service has all entries, and ends the delivery.
func (l *Log) Close(ctx context.Context) error {
	l.Tick(time.Time{})
	l.queue.End()
	return l.queue.Close(ctx)
}

// batch is entries in wire form: repeated fields HTTPAccessLogEntries.log_entry. So the
// queue's limit is one of memory.
type batch struct {
	wire    []byte
	entries int
}

const fieldLogEntry = protowire.Number(1)

func (b *batch) add(m proto.Message) {
	size := proto.Size(m)
	wire := protowire.AppendTag(b.wire, fieldLogEntry, protowire.BytesType)
	wire = protowire.AppendVarint(wire, uint64(size))
	wire, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(wire, m)
	if err == nil { // always: its texts are valid UTF-8
		b.wire = wire
		b.entries++
	}
}

func (b *batch) Len() int  { return b.entries }
func (b *batch) Size() int { return len(b.wire) }
func (b *batch) Release()  {}
