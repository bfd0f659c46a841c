// Package inject is the filter that delays or fails requests on purpose, by the
// configuration of their route or because a trusted caller asks for it in Envoy's fields
// x-envoy-fault-*.
//
// What is injected is seen in the Hop: the flags DI and FI. The filter does not slow down a
// response, and it does not decide who is trusted: the forwarder has removed the fields of
// strangers before. Start reading at [New].
package inject
