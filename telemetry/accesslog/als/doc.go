// Package als sends an entry for each Hop to a service of Envoy's gRPC access log
// (envoy.service.accesslog.v3.AccessLogService), without ever waiting for it.
//
// It writes no lines: package accesslog does. Package delivery has the queue. Start reading
// at [Log], then entry.go for what becomes of a Hop.
package als
