// Package errorbody is the filter that gives error responses other content, by their
// status: the proxy's own, and those of endpoints where that is asked for.
//
// Status and fields stay, but for those that are about the content. Calls of gRPC, whose
// errors have no content, pass as they are. Start reading at [New].
package errorbody
