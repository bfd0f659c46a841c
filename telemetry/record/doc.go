// Package record carries finished Hops from the data plane to the views
// without ever making the data plane wait.
//
// Each shard is a bounded lock-free ring that many goroutines may push to. One worker
// goroutine empties all rings: it passes each Hop to every [View], then puts it back into
// the pool. If a ring is full, the Hop is dropped and counted. A producer wakes the
// worker only if the worker sleeps for lack of work, or if enough Hops have piled up.
//
// It is not a queue to exporters: a view that talks to a network or a disk has
// its own buffer and goroutine. Start reading at [Recorder], then ring.go.
package record
