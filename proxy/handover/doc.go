// Package handover passes listening sockets on: to another owner within the
// process ([Dup]), and to another process over a Unix socket ([Server], [Take]),
// so that whoever comes after listens before whoever was there stops, and no
// connection is refused between. Where the addresses of old and new overlap without
// being the same, [Bind] has both listen at once, and [Leave] ends the old one. What
// the one process knows goes along as a file.
//
// All owners of a socket share the kernel's queue of connections; each accepts
// from it until it closes its own. The package knows nothing of what is served
// on the sockets, nor of who configures them. Start reading at [Server].
package handover
