// Package routing has the tests of routes: what requests match, and what a route does with
// them. Each runs over HTTP/1, HTTP/2 and gRPC.
package routing
