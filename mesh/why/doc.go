// Package why says why requests fail, over all proxies of a mesh: who is at fault for how
// many, since when, for whom, what failing requests have in common against those that went
// well, and what changed just before.
//
// Each proxy makes a [Digest] of a time: exact counts of its hops, and the hops of traces
// in which something failed. [Merge] puts the digests together. A failed request counts
// once in the mesh, at the root of its trace or the first proxy that saw it. What is exact
// and what is estimated is told apart.
//
// The package is pure: it asks nobody, and has no clock. What a digest of another proxy
// says is checked by [Digest.Check] before it counts.
//
// Start reading at [Make], then [Merge].
package why
