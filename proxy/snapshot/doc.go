// Package snapshot turns a configuration into a running proxy: the one place
// where everything is put together.
//
// [Start] reads as the architecture: views, recorder, clusters, listeners,
// admin. Nothing here is on a request's way. Start reading there.
package snapshot
