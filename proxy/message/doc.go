// Package message is the one vocabulary of every protocol: heads, fields and
// the framing of bodies.
//
// A codec fills a [Head] from bytes; filters and the forwarder change it; a
// codec writes it out again. A Head keeps offsets, not copies: its fields point
// into the bytes they were read from, in order and in their original case, and
// what is added lies in the Head's own storage. The package is pure. Start
// reading at [Head].
package message
