// Package forward carries one request from its head to its finish: trace
// context, filters, route, attempts, the two bodies, and the one finish that
// records the Hop whatever happened.
//
// It is straight-line, blocking code over [filter.Conn], [filter.Body] and
// [filter.Writer], whatever the protocol. Start reading at [Forwarder.Serve]; the steps
// follow in the order of the files open.go, route.go, action.go, delivery.go, attempt.go,
// relay.go, end.go, reply.go. A delivery is one request on its way to a target, an attempt
// one try at one endpoint.
package forward
