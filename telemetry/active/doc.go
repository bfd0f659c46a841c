// Package active knows the hops that are under way in this process: for how long, what
// each waits for, and which inbound request an outbound one belongs to.
//
// A [Table] finds hops by their trace. So an outbound hop inherits the time that the
// inbound hop of its trace has left, even if the application in between did not pass a
// deadline on, and an inbound hop that gives up can say which of its calls it still waits
// for. The admin API lists the table.
//
// An [Entry] is a hop's place in the table, and lives in the memory of its exchange:
// nothing is allocated for a request. The package keeps no record of hops that have ended;
// that is package store. Start reading at [Table.Enter].
package active
