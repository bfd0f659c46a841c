// Package grpc is what a proxy has to know of gRPC over HTTP: which requests
// are calls, how their timeouts, messages and statuses are written, and what
// status stands for an HTTP status or a failure of the proxy's own.
//
// It follows gRPC's PROTOCOL-HTTP2.md and http-grpc-status-mapping.md. It does
// not look into the messages that a call carries, and knows nothing of gRPC-Web
// but its content types. The package is pure. Start reading at [IsCall] and
// [Status].
package grpc
