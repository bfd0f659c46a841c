package spans

import (
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// appendTLS appends what a connection is encrypted with, by OpenTelemetry's
// attributes for TLS. They have none for an identity, nor for the name that was
// asked for, which need not be that of the request, nor for the handshake's
// duration: those are ours. subject and notAfter are the names of what is said of
// the other side's certificate.
func (e *encoder) appendTLS(b []byte, t *hop.TLS, subject, notAfter string) []byte {
	if t == nil {
		return b
	}
	if t.Version != "" { // else the handshake did not get as far
		b = appendString(b, "tls.protocol.name", "tls")
		b = appendString(b, "tls.protocol.version", t.Version)
	}
	b = appendString(b, "tls.cipher", t.Cipher)
	b = appendString(b, "tls.next_protocol", t.Protocol)
	b = appendTrue(b, "tls.resumed", t.Resumed)
	b = appendString(b, subject, t.PeerSubject)
	if !t.PeerExpires.IsZero() {
		e.scratch = t.PeerExpires.UTC().AppendFormat(e.scratch[:0], time.RFC3339)
		b = appendString(b, notAfter, e.scratch)
	}
	b = appendString(b, "hopscope.tls.peer", t.Peer)
	b = appendString(b, "hopscope.tls.server_name", t.ServerName)
	return appendInt(b, "hopscope.tls.handshake_ns", int64(t.Handshake))
}
