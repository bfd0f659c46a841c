// Package filter is what stands between a request's head and its endpoint: the
// [Exchange] that every step works on, the [Handler] that a step is, and the
// [Chain] that puts steps in order.
//
// A filter is a func(next Handler) Handler. The chain is built once, when a
// configuration is loaded. Start reading at [Exchange].
package filter
