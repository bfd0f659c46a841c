// Package listener is the downstream side of the proxy: it accepts connections, speaks the
// server side of each protocol, and drains.
//
// A [Listener] accepts connections and serves each in a goroutine of its own. It hands
// every request to a [Server], the forwarder, which [Listener.Use] may replace between two
// requests. Start reading at [Listener.Serve]; http1.go has an HTTP/1 connection from its
// first byte to its last, drain.go the end of a listener.
package listener
