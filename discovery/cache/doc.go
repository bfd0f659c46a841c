// Package cache keeps what sources said in a file, so that a process that starts
// while they are away begins with what was last known.
//
// A cache is what sources said last, each under the question that it was asked
// ([Contents]); what questions look like is up to the caller. A file of another
// version, or with a mistake, is refused whole, and what is older than it may be is
// left out. Start reading at [Read].
package cache
