package otlp

import (
	"context"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/hopscope/hopscope/telemetry/collector"
	"github.com/hopscope/hopscope/telemetry/spans"
)

// Exporter implements [spans.Exporter].
type Exporter struct{ client *collector.Client }

// New returns an exporter. It returns an error only for invalid options.
func New(o collector.Options) (*Exporter, error) {
	c, err := collector.New(collector.Traces, o)
	if err != nil {
		return nil, err
	}
	return &Exporter{c}, nil
}

// Name implements [spans.Exporter].
func (e *Exporter) Name() string { return e.client.Name() }

// Export implements [spans.Exporter].
func (e *Exporter) Export(ctx context.Context, b *spans.Batch) error {
	return e.client.ExportTraces(ctx, []*tracepb.ResourceSpans{b.ResourceSpans()})
}

// Close implements [spans.Exporter].
func (e *Exporter) Close(context.Context) error { return e.client.Close() }
