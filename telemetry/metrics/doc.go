// Package metrics turns Hops into Prometheus metrics: rate, errors and duration by
// service, route, cluster, method, code, gRPC status and flag.
//
// Only one goroutine passes Hops to it, so a hop costs one uncontended lock and a few
// additions. A scrape reads the numbers and builds the answer. The series of a route are
// resolved when the configuration is built ([Metrics.Series]) and travel in [hop.Labels].
// No label value comes from a client.
//
// [Metrics.Func] exports numbers that the data plane keeps itself. Start reading at
// [Metrics], then series.go.
package metrics
