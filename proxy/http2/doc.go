// Package http2 speaks HTTP/2 (RFC 9113) on both sides of the proxy: connections, their
// streams, flow control, and limits on hostile peers. Heads are those of package message,
// as in HTTP/1.
//
// A [Conn] has two goroutines. [Conn.Run] reads frames. A writer sends what the streams
// have appended since its last call, all of it in one call. A [Stream] belongs to the
// goroutine that serves its request; its methods block. Frames are read and written with
// golang.org/x/net/http2.
//
// The package does not connect requests with responses and does not decide what is sent to
// whom: package forward does.
//
// Start reading at [Conn]. Then read takeFrames in read.go for what comes in, share in
// flow.go for what goes out, and headerList for heads.
package http2
