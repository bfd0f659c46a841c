// Package otlplogs sends log records to an OpenTelemetry collector, over gRPC or HTTP,
// without ever waiting for it.
//
// It makes no records, and does not know what is logged. [collector.Client] has the
// protocol, package delivery the queue. Start at [Logs.Export].
package otlplogs
