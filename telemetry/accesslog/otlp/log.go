package otlp

import (
	"cmp"
	"context"
	"time"

	logspb "go.opentelemetry.io/proto/otlp/logs/v1"

	"github.com/hopscope/hopscope/telemetry/accesslog"
	"github.com/hopscope/hopscope/telemetry/collector"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/otlplogs"
)

// Options say which hops have a record, and what it looks like.
type Options struct {
	// Name is the view's name in metrics and logs; default is "access_log".
	Name string
	// Lines makes the body of records; nil is a short text.
	Lines *accesslog.Lines
	// Selection says which hops have a record; nil is all.
	Selection *accesslog.Selection
}

// maxOpen is how many records are passed on at once, at most.
const maxOpen = 512

// Log sends records to one collector. It is a record.View.
type Log struct {
	options Options
	logs    *otlplogs.Logs
	open    []*logspb.LogRecord
	line    []byte
}

// New starts the delivery. The connection is made when there is something to send. An error
// is one of the options. Call [Log.Close] to end it.
func New(to collector.Options, delivery otlplogs.Options, o Options) (*Log, error) {
	logs, err := otlplogs.New(to, delivery)
	if err != nil {
		return nil, err
	}
	o.Name = cmp.Or(o.Name, "access_log")
	return &Log{options: o, logs: logs}, nil
}

// Name is the view's name.
func (l *Log) Name() string { return l.options.Name }

// Observe adds a record for h. It never waits: records for which there is no room are lost
// and counted.
func (l *Log) Observe(h *hop.Hop) {
	if !l.options.Selection.Takes(h) {
		return
	}
	var body string
	if l.options.Lines != nil {
		l.line = l.options.Lines.Append(l.line[:0], h)
		body = valid(l.line[:len(l.line)-1]) // without its newline
	} else {
		body = summary(h)
	}
	l.open = append(l.open, recordOf(h, body))
	if len(l.open) == maxOpen {
		l.Tick(time.Time{})
	}
}

// Tick passes on the records so far.
func (l *Log) Tick(time.Time) {
	if len(l.open) > 0 {
		l.logs.Export(l.open)
		clear(l.open)
		l.open = l.open[:0]
	}
}

// Dropped calls emit with the number of lost records so far, with the labels view, reason
// and exporter: see [otlplogs.Logs.Dropped].
func (l *Log) Dropped(emit func(value float64, labelValues ...string)) {
	l.logs.Dropped(func(value float64, reason string) { emit(value, l.Name(), reason, l.logs.Name()) })
}

// Close waits within ctx until the collector has all records, and ends the delivery.
func (l *Log) Close(ctx context.Context) error {
	l.Tick(time.Time{})
	return l.logs.Close(ctx)
}
