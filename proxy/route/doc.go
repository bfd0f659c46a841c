// Package route finds the route of a request.
//
// A [Table] is compiled once from the configuration's matches; [Table.Match]
// is a pure function of a request's host, path and method. Start reading there.
package route
