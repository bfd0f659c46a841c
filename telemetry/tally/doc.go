// Package tally counts hops exactly: in windows of time by what they have in common, and
// since the start with their durations. The store keeps a sample of the hops that went
// well, so it can't say how many there were; a [Tally] can.
//
// It is a view of the Hop, for the mesh's commands: what failing requests have in common
// against those that went well, and who has how many requests a second. Prometheus has its
// own metrics; these here need no server that keeps their past.
//
// Start reading at [Tally.Observe], then [Tally.Since] and [Tally.Totals].
package tally
