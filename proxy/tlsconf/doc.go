// Package tlsconf makes the tls.Config of a listener or a cluster from files of
// certificates, keys, authorities and revocation lists, and keeps it up to date:
// a file that changes is read again, a bad one leaves the old in use.
//
// [Server] is the listener's side, [Client] the cluster's. Who the other side
// has to be is told by patterns of names (san.go), by revocation lists
// (revoked.go) and by pins (client.go). [ExplainServer] and [ExplainClient] say
// why a handshake failed, [Describe] what a good one agreed on. [Watcher], which
// knows nothing of TLS, sees files change. The package opens no connection.
// Start reading at [NewServer].
package tlsconf
