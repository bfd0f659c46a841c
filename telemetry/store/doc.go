// Package store keeps recent Hops in memory, so that people can look up a trace at a
// proxy that it passed, without a tracing backend.
//
// Its size in bytes is limited. One half is for hops that failed, were slow, carry a
// flag or have an attempt that failed, for those that end after a failed hop of their
// trace, and for those that the mesh pins; these are always kept. The other half is for a
// sample of the rest, chosen by trace id, so that every proxy of a mesh keeps the same
// traces. It is not a database: nothing outlives the process, and it has only one proxy's
// hops. Package diagnose combines those of several proxies.
//
// Start reading at [Store], then sample.go and query.go.
package store
