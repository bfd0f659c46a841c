package hop

import "time"

// TLS describes the encryption of a connection. It is made once for each connection and
// never changed, so all its Hops share it.
type TLS struct {
	// Version is "1.2" or "1.3"; Cipher is the suite by its IANA name, such as
	// "TLS_AES_128_GCM_SHA256".
	Version, Cipher string
	// ServerName is the name that the client asked for (SNI), "" for none;
	// Protocol is what ALPN agreed on, "" for nothing.
	ServerName, Protocol string
	// Peer is the identity in the other side's certificate: its SPIFFE id if it has one,
	// else its first DNS name, else its subject; "" without a certificate. PeerSubject is
	// the subject, PeerExpires when the certificate expires.
	Peer, PeerSubject string
	PeerExpires       time.Time
	// Resumed is true if the session was resumed.
	Resumed bool
	// Handshake is how long the handshake took.
	Handshake time.Duration
}

// size is about how many bytes of memory t takes.
func (t *TLS) size() int {
	if t == nil {
		return 0
	}
	const fixed = 144
	return fixed + len(t.ServerName) + len(t.Peer) + len(t.PeerSubject)
}
