// Package consul gets endpoints from Consul, and puts this proxy into it. A [Client] is
// the way to one agent; from it come a [Source] of one service's endpoints, the whole
// [Catalog], and a [Registrar] that registers a service. [KV] watches one key.
//
// All of them ask by blocking queries. What fails keeps its last good answer, says so,
// and asks again with growing pauses; what a Consul that lost its memory no longer knows
// stays in use for a while.
//
// It is neither a DNS client nor a control plane: intentions and certificates are not
// read. Start reading at source.go, then at follow.go.
package consul
