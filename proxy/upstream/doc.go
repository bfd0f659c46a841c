// Package upstream connects to endpoints: it has the connection pools and the client side
// of each protocol.
//
// An [Endpoint] is an address with its pool. A [Group] holds what the endpoints of a
// cluster share, above all their connection limit. [Group.Acquire] returns a [Stream],
// over a pooled connection or a new one, and Release gives it back. Every error is a
// [fault.Error] that names the endpoint. Balancing, retries and health are elsewhere.
// Start reading at [Group].
package upstream
