// Package record carries finished Hops from the data plane to the views
// without ever making the data plane wait.
//
// Each shard is a bounded lock-free ring that many goroutines may push to; one
// worker goroutine drains them all and shows each Hop to every [View], then
// puts it back into the pool. A full ring drops the Hop and counts it. A
// producer wakes the worker only when it sleeps for lack of work, or when
// enough Hops have piled up to be worth it.
//
// It is not a queue to exporters: a view that talks to a network or a disk has
// its own buffer and goroutine. Start reading at [Recorder], then ring.go.
package record
