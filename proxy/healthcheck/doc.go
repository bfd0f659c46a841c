// Package healthcheck asks endpoints whether they are well: active health checks
// over HTTP, TCP and gRPC (grpc.health.v1), with Envoy's names, defaults and rules.
//
// A [Machine] is the pure part: results of probes in, health and the time until
// the next probe out. A [Checker] probes the endpoints of one cluster and reports
// after each probe. It decides nothing else: what becomes of an endpoint that is
// unhealthy, or of its ejection when a check passes, is the cluster's affair.
//
// Start reading at [Options] and [Machine.Next], then [Checker].
package healthcheck
