package collector

import (
	"context"
	"errors"
	"fmt"

	collogspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/hopscope/hopscope/telemetry/delivery"
	"github.com/hopscope/hopscope/telemetry/redact"
)

// ExportTraces sends spans, and again if that makes sense, until the time for an export is
// up. It returns a [delivery.RejectedError] if the collector refused some of them, and a
// [delivery.ThrottledError] if the collector asks to wait for longer than that time. Errors
// show no header's value.
func (c *Client) ExportTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	var response coltracepb.ExportTraceServiceResponse
	err := c.send(ctx, &coltracepb.ExportTraceServiceRequest{ResourceSpans: spans}, &response)
	p := response.GetPartialSuccess()
	return c.result(err, p.GetRejectedSpans(), p.GetErrorMessage())
}

// ExportLogs sends log records as [Client.ExportTraces] sends spans.
func (c *Client) ExportLogs(ctx context.Context, logs []*logspb.ResourceLogs) error {
	var response collogspb.ExportLogsServiceResponse
	err := c.send(ctx, &collogspb.ExportLogsServiceRequest{ResourceLogs: logs}, &response)
	p := response.GetPartialSuccess()
	return c.result(err, p.GetRejectedLogRecords(), p.GetErrorMessage())
}

// result is the error of an export. The specification forbids to send again what a
// collector took in part.
func (c *Client) result(err error, rejected int64, message string) error {
	throttled := (*delivery.ThrottledError)(nil)
	switch {
	case err == nil && rejected == 0 && message == "":
		return nil
	case err == nil:
		message = redact.Values(redact.Text(message), c.secrets...)
		return &delivery.RejectedError{Items: int(rejected), Message: message}
	case errors.As(err, &throttled):
		return &delivery.ThrottledError{After: throttled.After, Err: redact.Error(throttled.Err, c.secrets...)}
	}
	return redact.Error(fmt.Errorf("otlp: %w", err), c.secrets...)
}
