// Command accuracy measures whether hopscope names the right culprit. It makes meshes of
// real processes, injects one fault at a time, and prints what the verdicts were beside
// what is known to be at fault: for the response's Proxy-Status, for the proxy nearest to
// the fault, for all hops put together, for the access logs of all proxies, and for the
// simple rule "the deepest hop with an error".
//
// It is not a benchmark. Start reading at run.go; the meshes are in mesh, the faults in
// fault, the applications in app, and what counts as right in verdict.go.
package main
