// Package snapshot turns a configuration into a running proxy: the one place
// where everything is put together.
//
// [Start] reads as the architecture: views, recorder, clusters, listeners,
// admin. What lives as long as the process is the [Proxy]; what a configuration
// made is a generation, of which [Proxy.Reload] builds the next. Nothing here is
// on a request's way. Start reading at Start.
package snapshot
