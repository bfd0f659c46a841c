// Package spans turns Hops into OpenTelemetry spans: a SERVER span for a request to the
// service, a CLIENT span for one that it makes. An edge between two services is two spans:
// the caller's CLIENT span and the callee's SERVER span. The only attempt of a hop is the
// same span as the hop, and has the id that went out; of several, each is a CLIENT child.
//
// It does not sample: the Hop says whether its spans are kept. It talks to no collector:
// packages otlp and zipkin do. It writes a Hop directly as OTLP protobuf, without span
// objects, because at 100 % sampling this happens for every request.
//
// Start reading at convert.go. With attributes.go, call.go (gRPC) and connection.go (TLS)
// it has all attributes for every exporter. Then read [Spans], which makes batches, and
// package delivery, which takes them to exporters without ever waiting for one.
package spans
