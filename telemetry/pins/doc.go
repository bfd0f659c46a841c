// Package pins keeps the whole trace of a request that failed or was slow, though it was not
// sampled. Failing hops are exported anyway; those beside them, which went well, are not.
//
// The proxy where the request entered the mesh pins its trace, and tells the others. Each
// then exports the hops of the trace that it still has, and those that end soon after: for
// that, [Pins] keeps unsampled hops for a while, in a bounded number of bytes. Package peers
// of the data plane carries the ids; this one sends nothing.
//
// Start reading at [Pins.Observe], then recent.go.
package pins
