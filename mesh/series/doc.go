// Package series is the history of a mesh: how many requests each service, edge, route and
// endpoint had in each window of the last hour, how many failed, and how long they took.
//
// Each proxy samples counters that it has anyway into a [Ring], and tells its [Part]; the
// parts of all proxies make a [Table]. A request costs nothing for it. The package is pure,
// but for the lock of a ring.
//
// Start reading at [Merge].
package series
