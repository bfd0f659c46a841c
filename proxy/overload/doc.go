// Package overload is the proxy's budget of memory: it counts what clients make the
// proxy hold, and says what is still to be had, so that the proxy refuses a client
// before the kernel kills the proxy.
//
// What is counted are connections, streams, read buffers, heads that do not fit into
// one, and content that waits to be read. Each connection has an [Account] of the one
// [Budget]. As that fills, whoever holds memory for a client does, in this order:
// give smaller windows ([Shrink]), refuse streams and large heads ([Streams]), close the
// connections that hold most ([Relieve]), refuse new ones ([Connections]), and refuse
// requests ([Full]).
//
// It opens nothing, closes nothing, and does not measure: the sizes are the callers'.
// What a proxy may use at all is found out in limit.go. Start reading at [Budget].
package overload
