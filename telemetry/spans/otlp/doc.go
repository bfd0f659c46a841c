// Package otlp exports spans to an OpenTelemetry collector over gRPC.
//
// It adapts otlptracegrpc to [spans.Exporter]; that package does the connection, TLS,
// compression, retries and back-off. It makes no spans. Start at [New].
package otlp
