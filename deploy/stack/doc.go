// Command stack runs all of hopscope's surroundings on one machine, without containers: the
// demo's services as processes, each behind a sidecar that is the real program, a gateway
// before them, and the real Consul, Jaeger, Zipkin and Prometheus. The sidecars find each
// other in Consul, Prometheus finds them there too, and spans go to both tracing backends.
// Faults can be switched on while it runs. make stack starts it; make stack-fault lists the
// faults.
//
// It is for trying things out on loopback: not for production, not a benchmark. When it
// ends, everything that it started ends with it, even if it is killed. Start reading at
// stack.go; the faults are in fault.go.
package main
