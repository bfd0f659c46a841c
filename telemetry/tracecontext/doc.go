// Package tracecontext reads and writes trace context: W3C traceparent and
// tracestate, and B3 in its single and its multiple header form.
//
// The data plane collects the fields it found in a [Carrier]; [Propagation]
// turns them into a [Context] and says which formats go out; the Append
// functions write the outgoing values. [Sampler] holds the sampling rule.
//
// The package is pure: no clock, no random numbers (the caller passes them),
// and no allocation on any path. Baggage is none of its business: the proxy
// passes it on like any other field. Start reading at [Propagation.Extract].
package tracecontext
