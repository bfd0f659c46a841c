// Package transcode is the filter that lets clients which know only HTTP and JSON call
// gRPC methods, by the google.api.http options of a descriptor set: see package httprule.
//
// A request that a binding is for becomes a gRPC call: its path, query and JSON content
// become the method's request message. The response message becomes JSON, and a status
// that is not OK an HTTP status with google.rpc.Status as JSON. The messages of a server's
// stream are lines of JSON, or events for clients that accept text/event-stream. All other
// requests pass.
//
// Start reading at [New]; what becomes of a request is in request.go and field.go, of a
// response in response.go.
package transcode
