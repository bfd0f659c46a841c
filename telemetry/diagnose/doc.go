// Package diagnose says which hop failed, or was slow, and why. It builds a tree from the
// hops of one trace, which may come from several proxies, and names the culprit.
//
// It uses only the hops. They may repeat, be incomplete, have clocks that disagree, or
// unknown parents; guesses are marked as such. It asks no peer and stores nothing, except
// in [Causes], the data plane's short memory of the failures of one process.
//
// The culprit is a service, a part of it and a kind of failure. Who is at fault for what
// one proxy met is the table of [Charge]; which of the failures of a trace made it fail is
// in blame.go; what the two ends of a connection saw is in pair.go.
//
// Everything is a function of its arguments; there is no clock here. Start
// reading at [Build], then [Trace.Text].
package diagnose
