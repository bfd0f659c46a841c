// Package netio is the socket as the data plane sees it: a [Conn] with a
// borrowed read buffer, deadlines that cost nothing until they pass, and ways
// of reading that spare system calls.
//
// On Linux a Conn calls recv and send itself on the non-blocking descriptor
// and lets the runtime's poller park the goroutine; elsewhere, and for
// connections that are no sockets, it falls back to [net.Conn]. After
// [Conn.StartTLS] all of that goes on with crypto/tls in between. It knows
// nothing of any other protocol. Start reading at [Conn], then [Conn.Turns] and
// [Conn.Exchange], which are what makes the hot path fast.
package netio
