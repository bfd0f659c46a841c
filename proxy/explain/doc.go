// Package explain has the words in which hopscope explains what it does with a request: the
// question ([Request]), the answer ([Explanation]), and the answer as text for a terminal
// ([Explanation.Text]).
//
// It finds nothing out. Whoever has the routes of a proxy does: proxy/snapshot makes the
// explanation by a dry run of the data plane's own code (see forward.DryRun). Start reading
// at [Explanation].
package explain
