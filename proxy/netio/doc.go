// Package netio is the data plane's socket. A [Conn] borrows its read buffer, its
// deadlines cost nothing until they pass, and it saves system calls.
//
// On Linux a Conn calls recv and send on the non-blocking descriptor itself, and lets the
// runtime's poller park the goroutine. On other systems, and for connections that are not
// sockets, it uses [net.Conn]. After [Conn.StartTLS] it does all of this through
// crypto/tls. It knows no other protocol. Start reading at [Conn], then [Conn.Turns] and
// [Conn.Exchange], which make the hot path fast.
package netio
