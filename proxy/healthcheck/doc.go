// Package healthcheck makes active health checks over HTTP, TCP and gRPC
// (grpc.health.v1), with Envoy's names, defaults and rules.
//
// A [Machine] is the pure part: it turns probe results into health and the time until the
// next probe. A [Checker] probes the endpoints of one cluster and reports after each
// probe. The cluster decides what follows: what an unhealthy endpoint still gets, and
// whether a passed check ends an ejection.
//
// Start reading at [Options] and [Machine.Next], then [Checker].
package healthcheck
