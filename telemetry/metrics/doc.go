// Package metrics turns Hops into Prometheus metrics: rate, errors and duration of
// requests, calls and attempts, after OpenTelemetry's conventions, and who is at fault for
// failures.
//
// Only one goroutine passes Hops to it, so a hop costs one uncontended lock and a few
// additions. A scrape reads the numbers and builds the answer. The series of a route are
// resolved when the configuration is built ([Metrics.Series]) and travel in [hop.Labels].
// Label values that others than the configuration choose are bounded (names.go).
//
// [Metrics.Func] exports numbers that the data plane keeps itself. Start reading at
// [Metrics], then families.go and series.go.
package metrics
