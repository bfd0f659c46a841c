package spans

import (
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// appendTLS appends OpenTelemetry's TLS attributes of a connection. OpenTelemetry has
// none for an identity, for the requested server name, which may differ from the
// request's host, or for the handshake's duration: those are ours. subject and notAfter
// are the attribute names for the other side's certificate.
func (e *encoder) appendTLS(b []byte, t *hop.TLS, subject, notAfter string) []byte {
	if t == nil {
		return b
	}
	if t.Version != "" { // else the handshake failed before that
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
