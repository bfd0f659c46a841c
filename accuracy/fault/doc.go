// Package fault is the list of faults that are injected into a mesh, one at a time: how
// each is made, and who is at fault, by the rules of diagnose.
//
// It does not judge what a proxy said. Start reading at [All].
package fault
