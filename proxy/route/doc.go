// Package route finds the route of a request.
//
// A [Table] is compiled once from the configuration's matches; [Table.Match]
// is a pure function of a [Request]. The first match in the configuration's order is
// taken. A tree of hosts (hosts.go), each with a tree of paths (paths.go), finds it
// without looking at the others; routes of one path that ask for an exact value are found
// by that (byvalue.go). What is left of a match are conditions (conditions.go). The trees
// are packed into few slices (pack.go), in which requests are matched (find.go).
// Start reading at [Compile].
package route
