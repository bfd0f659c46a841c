// Package metrics is the view of Hops as numbers: rate, errors and duration by
// service, route, cluster, method, code, gRPC status and flag, for Prometheus to
// scrape.
//
// Only one goroutine shows it Hops, so that a hop costs one uncontended lock
// and a few plain additions; what Prometheus reads is put together at each
// scrape. The series of a route are resolved when the configuration is built
// ([Metrics.Series]) and travel in [hop.Labels]. No label holds anything that
// a client controls.
//
// Numbers that the data plane keeps itself are read through [Metrics.Func].
// Start reading at [Metrics], then series.go.
package metrics
