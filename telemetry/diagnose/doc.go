// Package diagnose says which hop failed, or was slow, and why: it puts the
// hops of one trace, which may come from several proxies, together to a tree
// and names the culprit.
//
// It looks at nothing but the hops: they may repeat, be incomplete, have
// clocks that disagree, or parents that nobody knows. What had to be guessed
// is marked as such. It asks no peer and stores nothing, except for [Causes],
// the data plane's short memory of the failures of one process.
//
// Everything is a function of its arguments; there is no clock here. Start
// reading at [Build], then [Trace.Text].
package diagnose
