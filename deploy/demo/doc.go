// Package demo is the embedded mesh that "hopscope demo" runs: a shop of seven
// small services and a bank, on real sockets of the loopback interface, each
// service with its own sidecar on what comes in and on what goes out.
//
// Nothing is staged. The sidecars are the ones that "hopscope run" starts, the
// bank really closes its socket now and then, and the services do for tracing
// what any application must: copy three headers from the request that they
// serve to the requests that they make. What the demo prints, it has read from
// the sidecars' memory of recent hops.
//
// It is not a benchmark and not an example of how to write a service. Start
// reading at [Run], then the graph in graph.go.
package demo
