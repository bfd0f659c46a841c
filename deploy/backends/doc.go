// Package backends starts the real servers that hopscope's tests talk to: Jaeger,
// Zipkin, Prometheus, Consul, HAProxy, nginx, Envoy and gRPC's interoperability server, on
// free loopback ports, each ready when its function returns and gone when the test
// ends.
// Real clients (h2spec, h2load, nghttp, curl) it finds by Require.
//
// It is not part of the product and not for production: nothing but tests and deploy/stack
// imports it. It installs nothing itself either: the script setup beside
// it does, and Path runs that script.
//
// A new server is a line in setup's table of parts and a file here like jaeger.go;
// one that is a Go program gets a module of its own, like jaeger/go.mod, so that
// the product's go.mod stays clean. Start reading at process.go.
package backends
