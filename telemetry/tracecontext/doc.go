// Package tracecontext reads and writes trace context: W3C traceparent and
// tracestate, B3 in its single and its multiple header form, Jaeger's uber-trace-id, and
// AWS X-Ray's x-amzn-trace-id.
//
// The data plane collects the request's fields in a [Carrier]. [Propagation] turns them
// into a [Context] and says which formats to send. The Append functions write the
// outgoing values. [Sampler] has the sampling rule.
//
// The package is pure: no clock, no random numbers (the caller passes them), and no
// allocation on any path. It does not handle baggage, in W3C's field or Jaeger's
// (uberctx-...): the proxy passes that on like any other field. Start reading at [Propagation.Extract].
package tracecontext
