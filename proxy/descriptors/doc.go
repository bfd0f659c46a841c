// Package descriptors knows what the process may open: its limit on open files, how
// much of that is kept for what must go on when traffic has taken the rest, and which
// errors say that this machine is short of something, rather than that a peer is at
// fault.
//
// It counts nothing. The kernel gives each new descriptor the lowest free number, so
// the number alone tells how many are open. Start reading at [Short].
package descriptors
