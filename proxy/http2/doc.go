// Package http2 is HTTP/2 (RFC 9113) for both sides of the proxy: connections
// that carry streams, with flow control, limits on hostile peers, and heads in
// the words of package message, which are HTTP/1's.
//
// A [Conn] has two goroutines: [Conn.Run] reads frames, and a writer sends, in
// one call, whatever the streams have appended since it last did. A [Stream]
// belongs to the goroutine that serves its request, whose methods block. The
// package does not connect requests with responses, nor decide what is sent to
// whom: that is package forward. It frames over golang.org/x/net/http2.
//
// Start reading at [Conn], then takeFrames in read.go for what comes in, share in
// flow.go for what goes out, and headerList for heads.
package http2
