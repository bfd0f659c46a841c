// Package envoy compares hopscope with the real Envoy: generated route tables, in the
// configuration of either, get the same requests. Both have to take the same route, ask
// the endpoint for the same target with the same fields, and answer the client alike.
// Requests come over HTTP/1.1, over HTTP/2 and as gRPC calls, and endpoints are spoken to
// in either version.
//
// Start reading at TestSameAsEnvoy. What is generated is in table_test.go and
// request_test.go, what is sent and seen in rig_test.go and http2_test.go, what Envoy's
// configuration makes of it in theirs_test.go, and what may differ, each with its reason,
// in differences_test.go.
package envoy
