// Package filter is what stands between a request's head and its endpoint: the
// [Exchange] that every step works on, the [Handler] that a step is, and the
// [Chain] that puts steps in order.
//
// A filter is a func(next Handler) Handler. Chains are built once, when a configuration
// is loaded: one for the listener, which ends in the search for a route, and one for each
// route, which ends in [Act]. The client's side is a [Conn], a [Body] and a [Writer]; a
// filter that changes content or response puts its own Body or Writer in front. Start
// reading at [Exchange].
package filter
