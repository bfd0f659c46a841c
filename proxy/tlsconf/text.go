package tlsconf

import (
	"strings"

	"github.com/hopscope/hopscope/proxy/fault"
)

// text is an error of crypto/tls that can be told by nothing but its text.
// TestTexts has each made by a real handshake.
type text struct {
	begins string
	kind   func(*party) fault.Kind
	says   string
	// rest makes words of what follows, nil where there is nothing in it.
	rest func(string) string
}

var texts = []text{
	// Of a client.
	{"tls: client offered only unsupported versions: ", version, "has none of the versions of TLS that the listener allows (min_version, max_version); it offered", versionNames},
	{"tls: client requested unsupported application protocols ", alpn, "speaks none of the listener's protocols (alpn); it offered", clip},
	{"tls: client didn't provide a certificate", missing, "showed no certificate, which the listener requires (client_auth): give it one", nil},
	{"tls: no cipher suite supported by both client and server", failed, "has no cipher suite that the listener supports: of TLS 1.2 these are ECDHE with AES-GCM or ChaCha20-Poly1305", nil},
	{"tls: failed to parse client certificate: ", bad, "showed a certificate that can not be parsed:", clip},
	// Of an endpoint.
	{"tls: server selected unsupported protocol version ", version, "speaks none of the versions of TLS that the cluster allows (min_version, max_version); it chose", versionNames},
	{"tls: server selected unadvertised ALPN protocol", alpn, "chose a protocol that it was not offered (ALPN)", nil},
	{"tls: failed to parse certificate from server: ", bad, "showed a certificate that can not be parsed:", clip},
}

func failed(p *party) fault.Kind  { return p.failed }
func version(p *party) fault.Kind { return p.version }
func alpn(p *party) fault.Kind    { return p.alpn }
func missing(p *party) fault.Kind { return p.missing }
func bad(p *party) fault.Kind     { return p.bad }

// byText explains an error that is told by its text, or returns nil.
func (p *party) byText(err error) *fault.Error {
	said := err.Error()
	for i := range texts {
		t := &texts[i]
		rest, ok := strings.CutPrefix(said, t.begins)
		if !ok {
			continue
		}
		reason := p.who + " " + t.says
		if t.rest != nil {
			reason += " " + t.rest(rest)
		}
		return fault.New(t.kind(p), reason)
	}
	return nil
}

// versionNames writes versions such as "301" and "[302 301]" by their names.
func versionNames(s string) string { return numbers.Replace(clip(s)) }

var numbers = strings.NewReplacer("304", "TLS 1.3", "303", "TLS 1.2", "302", "TLS 1.1", "301", "TLS 1.0", "300", "SSL 3.0")
