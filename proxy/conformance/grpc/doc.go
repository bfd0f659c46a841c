// Package grpc has the tests of gRPC and gRPC-Web: calls, statuses in every view, deadlines,
// limits, and trailers.
package grpc
