// Package http1 is the HTTP/1 codec: bytes in, heads and bodies out, and back
// again. It has no socket, no clock and no goroutine, and allocates nothing
// where a message is well formed.
//
// It is strict by RFC 9112: what two parsers could read in two ways is refused,
// never repaired, so that what is sent on means what was understood. It does
// not connect requests with responses, nor decide what is sent to whom: that is
// package forward.
//
// Start reading at [HeadDecoder], then [BodyDecoder], then [AppendRequest].
package http1
