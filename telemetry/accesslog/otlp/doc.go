// Package otlp sends a log record for each Hop to an OpenTelemetry collector, without ever
// waiting for it.
//
// Package otlplogs has the connection and the queue. Start reading at [Log], then record.go
// for what becomes of a Hop.
package otlp
