// Package fault is the error of the data plane: what went wrong, on whose
// side, and whether another try may help.
//
// An [Error] carries a [Kind]; a table gives each Kind its response flag, its
// status and its RFC 9209 error type, so that no other place decides them and
// nobody looks at the text of an error. The package is pure. Start reading at
// the table of kinds.
package fault
