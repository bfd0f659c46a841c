// Package transcoded compares hopscope with the real Envoy where both call gRPC methods for
// clients of HTTP and JSON: the same requests through the two, to one server of grpc-go, have
// to be answered with the same status, the same JSON and the same content type.
//
// Start reading at TestSameAsEnvoy. The requests are in requests_test.go, and what may
// differ, each with its reason, is in differences_test.go.
package transcoded
