package spans

import (
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// tlsNames are the names of attributes for one of a span's connections.
type tlsNames struct {
	protocol, version, cipher, alpn, resumed string
	subject, notAfter                        string // of the other side's certificate
	peer, serverName, handshake              string
}

// A span's own connection has OpenTelemetry's attributes: of a SERVER span to its client,
// of a CLIENT span to its endpoint. OpenTelemetry has none for an identity, for the
// requested server name, which may differ from the request's host, or for the handshake's
// duration, nor for the connection on the other side of the proxy: those are ours.
var (
	ofClient = tlsNames{
		"tls.protocol.name", "tls.protocol.version", "tls.cipher", "tls.next_protocol", "tls.resumed",
		"tls.client.subject", "tls.client.not_after",
		"hopscope.tls.peer", "hopscope.tls.server_name", "hopscope.tls.handshake_ns",
	}
	ofEndpoint = tlsNames{
		"tls.protocol.name", "tls.protocol.version", "tls.cipher", "tls.next_protocol", "tls.resumed",
		"tls.server.subject", "tls.server.not_after",
		"hopscope.tls.peer", "hopscope.tls.server_name", "hopscope.tls.handshake_ns",
	}
	ofUpstream   = otherSide("hopscope.upstream.tls.")
	ofDownstream = otherSide("hopscope.downstream.tls.")
)

// otherSide names the attributes of the connection that is not the span's own.
func otherSide(prefix string) tlsNames {
	return tlsNames{
		"", prefix + "version", prefix + "cipher", prefix + "next_protocol", prefix + "resumed",
		prefix + "subject", prefix + "not_after", prefix + "peer", prefix + "server_name", prefix + "handshake_ns",
	}
}

// appendTLS appends what a connection is encrypted with, nothing if it is not.
func (e *encoder) appendTLS(b []byte, t *hop.TLS, names *tlsNames) []byte {
	if t == nil {
		return b
	}
	if t.Version != "" { // else the handshake failed before that
		if names.protocol != "" {
			b = appendString(b, names.protocol, "tls")
		}
		b = appendString(b, names.version, t.Version)
	}
	b = appendString(b, names.cipher, t.Cipher)
	b = appendString(b, names.alpn, t.Protocol)
	b = appendTrue(b, names.resumed, t.Resumed)
	b = appendString(b, names.subject, t.PeerSubject)
	if !t.PeerExpires.IsZero() {
		e.scratch = t.PeerExpires.UTC().AppendFormat(e.scratch[:0], time.RFC3339)
		b = appendString(b, names.notAfter, e.scratch)
	}
	b = appendString(b, names.peer, t.Peer)
	b = appendString(b, names.serverName, t.ServerName)
	return appendInt(b, names.handshake, int64(t.Handshake))
}
