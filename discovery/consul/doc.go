// Package consul gets endpoints from Consul, and registers this proxy with it. A [Client]
// talks to one agent. It gives a [Source] of one service's endpoints, the whole [Catalog],
// and a [Registrar] that keeps a service registered. A [KV] watches one key.
//
// All of them use blocking queries. When a question fails, the last good answer stays in
// use and is marked as stale, and the question is asked again with growing pauses. A Consul
// that comes back empty is not believed at once: what it no longer knows stays in use for a
// while (grace.go).
//
// The package is neither a DNS client nor a control plane: it does not read intentions and
// certificates. Start reading at source.go, then follow.go.
package consul
