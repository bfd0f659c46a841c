// Package spans turns Hops into OpenTelemetry spans: one SERVER span for the hop, one
// CLIENT span for each attempt.
//
// It does not sample: the Hop says whether its spans are kept. It talks to no collector:
// packages otlp and zipkin do. It writes a Hop directly as OTLP protobuf, without span
// objects, because at 100 % sampling this happens for every request.
//
// Start reading at convert.go. With call.go (gRPC) and connection.go (TLS) it has all
// attributes for every exporter. Then read [Spans], which makes batches, and delivery.go,
// which passes them to exporters without ever waiting for one.
package spans
