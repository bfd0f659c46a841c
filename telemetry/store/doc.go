// Package store keeps recent Hops in memory, so that a trace can be looked up
// where it passed, without a tracing backend.
//
// It is bounded by bytes. One half is for hops that failed, were slow or carry
// a flag, which are always kept; the other is for a sample of the rest, chosen
// by trace id so that every proxy of a mesh keeps the same traces. It is no
// database: nothing outlives the process, and it knows one proxy's hops only;
// package diagnose puts those of several proxies together.
//
// Start reading at [Store], then sample.go and query.go.
package store
