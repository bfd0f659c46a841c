// Package route finds the route of a request.
//
// A [Table] is compiled once from the configuration's matches; [Table.Match]
// is a pure function of a request's host, path and method. The first match in
// the configuration's order is taken, and a tree of hosts (hosts.go), each
// with a tree of paths (paths.go), finds it without looking at the others.
// Start reading at [Compile].
package route
