// Package guard decides whether the canary of a route is worse than its stable targets.
//
// A [Guard] is told how each request of either side ended. It compares the two sides over
// a sliding window: their errors by a test of two proportions (errors.go), their latency by
// bounds of quantiles (latency.go) that come from sketches (sketch.go). If the canary is
// worse for sure, the guard trips and stays tripped until it is reset.
//
// The package is pure: it has no clock, and does nothing to the traffic itself. Whoever
// picks targets asks [Guard.Tripped]. Start reading at [Guard.Observe].
package guard
