// Package grpcweb is the filter that lets browsers make gRPC calls: it turns
// gRPC-Web, whose trailers are the last part of the content and whose content
// may be base64, into gRPC on the way up, and back on the way down (gRPC's
// PROTOCOL-WEB.md).
//
// Content is translated as it passes; nothing waits for a whole message. The
// filter does not look into messages, and CORS is none of its business. Start
// reading at [New].
package grpcweb
