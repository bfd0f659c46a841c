// Package otlp exports spans to an OpenTelemetry collector, over gRPC or HTTP.
//
// It adapts [collector.Client], which does the connection and the retries, to
// [spans.Exporter]. It makes no spans. Start at [New].
package otlp
