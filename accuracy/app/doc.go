// Package app is an application of a test mesh: a server, over HTTP/1 or gRPC, that calls
// others through its sidecar and reacts to their failures as applications do. It can be
// told to misbehave while it runs.
//
// It is not a proxy and knows nothing of hopscope but the address of its sidecar. Start
// reading at [Start]; app.go has the server, call.go its calls, trouble.go what goes wrong.
package app
