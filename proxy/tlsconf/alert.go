package tlsconf

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/hopscope/hopscope/proxy/fault"
)

// Alert returns the alert by which the other side ended a connection. crypto/tls hides the
// code in a type of its own, so Alert tells it by the error's text.
func Alert(err error) (code tls.AlertError, ok bool) {
	op, isOp := errors.AsType[*net.OpError](err)
	if !isOp || op.Op != "remote error" || op.Err == nil {
		return 0, false
	}
	for code := range 256 {
		if a := tls.AlertError(code); a.Error() == op.Err.Error() {
			return a, true
		}
	}
	return 0, false
}

// The alerts that are told apart (RFC 8446 section 6).
const (
	handshakeFailure       tls.AlertError = 40
	badCertificate         tls.AlertError = 42
	unsupportedCertificate tls.AlertError = 43
	certificateRevoked     tls.AlertError = 44
	certificateExpired     tls.AlertError = 45
	certificateUnknown     tls.AlertError = 46
	unknownCA              tls.AlertError = 48
	accessDenied           tls.AlertError = 49
	protocolVersion        tls.AlertError = 70
	unrecognizedName       tls.AlertError = 112
	certificateRequired    tls.AlertError = 116
	noApplicationProtocol  tls.AlertError = 120
)

// alerts has what the alerts mean, for %s, our own certificate.
var alerts = map[tls.AlertError]string{
	badCertificate:         "it does not accept %s",
	unsupportedCertificate: "%s is of a kind that it does not support",
	certificateRevoked:     "%s has been revoked: replace it",
	certificateExpired:     "%s has expired: renew it, a changed file is loaded without a restart",
	certificateUnknown:     "it does not accept %s, for a reason that it does not tell",
	unknownCA:              "it does not know the authority that signed %s: give it that authority, and put all certificates between the two into the file",
	accessDenied:           "%s is good, but not let in",
}

// alerted says what an alert means.
func (p *party) alerted(a tls.AlertError) *fault.Error {
	kind, meaning := p.alert, ""
	switch a {
	case protocolVersion:
		kind, meaning = p.version, "it speaks none of the versions of TLS that min_version and max_version allow here"
	case noApplicationProtocol:
		kind, meaning = p.alpn, "it speaks none of the protocols that it was offered (ALPN): change the protocol here, or what it offers"
	case certificateRequired:
		kind, meaning = p.missing, "it requires a client certificate: set cert and key"
	case handshakeFailure:
		meaning = "nothing that both sides support was found, such as a cipher suite, or a certificate was expected and not shown"
	case unrecognizedName:
		meaning = "it has no service of the name that it was asked for: set sni"
	default:
		if meaning = alerts[a]; meaning != "" {
			kind, meaning = p.rejected, fmt.Sprintf(meaning, p.ours)
		} else {
			meaning = "look at what it says"
		}
	}
	return fault.New(kind, fmt.Sprintf("%s ended the TLS connection with the alert %q: %s", p.who, a.Error()[len("tls: "):], meaning))
}
