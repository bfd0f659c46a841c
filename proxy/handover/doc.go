// Package handover passes listening sockets on: to another owner within the process
// ([Dup]), and to another process over a Unix socket ([Server], [Take]). The new owner
// listens before the old one stops, so no connection is refused in between. If the old
// and the new address overlap without being the same, [Bind] lets both listen at once,
// and [Leave] ends the old one. The old process may also pass on its state, as a file.
//
// All owners of a socket share the kernel's queue of connections. Each accepts from it
// until it closes its own copy. The package does not know what is served on the sockets,
// nor their configuration. Start reading at [Server].
package handover
