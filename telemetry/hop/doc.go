// Package hop is the record of one request passing through one proxy. Everything that a
// person sees is a view of it.
//
// The data plane opens a [Hop] when a request's head has been read, fills it in as the
// request passes, and hands it to a [Sink] when the request is over. Spans, metrics, log
// lines and response headers are made only from the Hop, so a new fact is added here once
// and can show in all of them.
//
// The package is pure: no socket, no clock, no goroutine. Start reading at
// [Hop], then [Flags].
package hop
