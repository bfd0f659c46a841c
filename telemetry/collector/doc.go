// Package collector sends OTLP messages to an OpenTelemetry collector, over gRPC or over
// HTTP, and retries as the OTLP specification says.
//
// It makes no messages, queues none and knows no Hop: packages spans/otlp and otlplogs make
// them, package delivery has the queues. It reads no environment variables. Start reading at
// [Client.ExportTraces].
package collector
