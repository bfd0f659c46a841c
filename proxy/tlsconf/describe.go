package tlsconf

import (
	"crypto/tls"
	"strings"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Describe returns what a handshake agreed on, and how long it took.
func Describe(s *tls.ConnectionState, took time.Duration) *hop.TLS {
	t := &hop.TLS{
		Version:    strings.TrimPrefix(tls.VersionName(s.Version), "TLS "),
		Cipher:     tls.CipherSuiteName(s.CipherSuite),
		ServerName: s.ServerName, Protocol: s.NegotiatedProtocol,
		Resumed: s.DidResume, Handshake: took,
	}
	if len(s.PeerCertificates) == 0 {
		return t
	}
	leaf := s.PeerCertificates[0]
	t.PeerSubject, t.PeerExpires = leaf.Subject.String(), leaf.NotAfter
	t.Peer = t.PeerSubject
	if id, ok := identity(leaf); ok {
		t.Peer = id.String()
	} else if len(leaf.DNSNames) > 0 {
		t.Peer = leaf.DNSNames[0]
	}
	return t
}
