// Package listener is the downstream side: sockets that accept, the server side
// of each protocol, and draining.
//
// A [Listener] accepts connections and serves each from a goroutine of its own;
// http1.go is an HTTP/1 connection from its first byte to its last. What is done
// with a request is the forwarder's business, and which forwarder that is may change
// from one request to the next. drain.go is how a listener ends. Start reading at [Listener.Serve].
package listener
