// Package discovery is where a cluster's endpoints come from: what an
// [Endpoint] is, the [Update] that says which there are, and the [Source] that
// delivers updates. A [Feed] is a source that others push updates into.
//
// A source delivers whole snapshots. One that errs keeps its last good answer,
// says that it is stale, and backs off: it never empties a cluster by failing.
// The folders below are the sources, and cache, which keeps what they said. Start
// reading at [Source].
package discovery
