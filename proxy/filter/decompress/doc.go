// Package decompress is the filter that decompresses the content of requests, for endpoints
// that can't (RFC 9110 section 8.4).
//
// Content is decompressed as it passes, up to a limit. Codings that are not listed, and
// several in a row, are left to the endpoint, and so are parts of content (Content-Range) and
// gRPC calls, whose messages are compressed one by one. Digests of the compressed content are
// removed with it. Responses are left alone. Start reading at [New]; content.go has the
// Body.
package decompress
