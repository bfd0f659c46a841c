// Package forward carries one request from its head to its finish: trace
// context, filters, route, attempts, the two bodies, and the one finish that
// records the Hop whatever happened.
//
// It is straight-line, blocking code over [filter.Downstream], whatever the
// protocol. Start reading at [Forwarder.Serve]; the steps follow in the order
// of the files open.go, route.go, attempt.go, relay.go, reply.go.
package forward
