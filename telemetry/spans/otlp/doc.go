// Package otlp exports spans to an OpenTelemetry collector over gRPC.
//
// The connection, TLS, compression, retries and their back-off are
// otlptracegrpc's; this package only fits it to [spans.Exporter]. It makes no
// spans. There is one file: start at [New].
package otlp
