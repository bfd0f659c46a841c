// Package tlsconf makes the tls.Config of a listener or a cluster from files of
// certificates, keys, authorities and revocation lists, and keeps it up to date. A file
// that changes is read again; if the new one is of no use, the old one stays in use.
//
// [Server] is the listener's side, [Client] the cluster's. Patterns of names (san.go),
// revocation lists (revoked.go) and pins (client.go) say who the other side may be.
// [ExplainServer] and [ExplainClient] say why a handshake failed, [Describe] what a good
// one agreed on. Package filewatch sees the files change. The package opens no connection.
// Start reading at [NewServer].
package tlsconf
