// Package upstream is the way to the endpoints: connection pools and the
// client side of each protocol.
//
// An [Endpoint] is an address with its pool; [Group] is what the endpoints of
// a cluster share, their connection limit above all. [Group.Acquire] hands out
// a [Conn], a pooled one or a new one, and [Conn.Release] takes it back. Every
// failure is a [fault.Error] that says which endpoint it was. Start reading at
// [Group].
package upstream
