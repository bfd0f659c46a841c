// Package spans is the view that makes OpenTelemetry spans of Hops: one SERVER
// span for the hop, one CLIENT span for each attempt.
//
// It decides no sampling (the Hop says whether its spans are kept) and speaks
// to no collector: package otlp and package zipkin beside it do. A Hop becomes
// the bytes of OTLP protobuf at once, without a span object in between, because
// at 100 % sampling that happens for every request.
//
// Start reading at convert.go, which with call.go (gRPC) and connection.go (TLS)
// is the one list of attributes for every exporter; then [Spans], which makes batches, and delivery.go, which hands
// them to exporters without ever waiting for one.
package spans
