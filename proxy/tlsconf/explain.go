package tlsconf

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
)

// ExplainServer says why a client's handshake failed, given the error on the listener's
// side.
func ExplainServer(err error) *fault.Error { return aboutClient.explain(err) }

// ExplainClient says why a handshake with an endpoint failed, given the error on the
// cluster's side. It also takes errors of reads and writes in which Alert finds an alert:
// in TLS 1.3 the endpoint refuses a client certificate after the handshake is over for the
// client.
func ExplainClient(err error, endpoint string) *fault.Error {
	p := aboutEndpoint
	p.who = endpoint
	return p.explain(err)
}

// party is the other side of a handshake: the kinds of its failures, and the
// words for them.
type party struct {
	who   string // in the middle of a sentence
	ours  string // our own certificate
	names string // where the names are listed that are accepted
	ca    string // where its authorities are listed
	usage string // what its certificate has to be made for

	failed, version, alpn, alert, missing, rejected     fault.Kind
	expired, unknown, wrongName, revoked, wrongPin, bad fault.Kind
}

var aboutClient = party{
	who: "the client", ours: "the listener's certificate", names: "client_san", ca: "client_ca", usage: "client authentication",
	failed: fault.ClientTLS, version: fault.ClientTLSVersion, alpn: fault.ClientTLSALPN, alert: fault.ClientTLSAlert,
	missing: fault.ClientCertMissing, rejected: fault.ClientTLSAlert, expired: fault.ClientCertExpired, unknown: fault.ClientCertUnknown,
	wrongName: fault.ClientCertName, revoked: fault.ClientCertRevoked, bad: fault.ClientCertUnsuitable,
}

var aboutEndpoint = party{
	ours: "the cluster's client certificate", names: "san", ca: "ca", usage: "server authentication",
	failed: fault.TLSFailed, version: fault.TLSVersion, alpn: fault.TLSALPN, alert: fault.TLSAlert,
	missing: fault.TLSCertMissing, rejected: fault.TLSCertRejected, expired: fault.CertExpired, unknown: fault.CertUnknown,
	wrongName: fault.CertName, revoked: fault.CertRevoked, wrongPin: fault.CertPin, bad: fault.CertUnsuitable,
}

func (p *party) explain(err error) *fault.Error {
	if r, ok := errors.AsType[*refusal](err); ok {
		return p.refused(r)
	}
	if v, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return p.unverified(v)
	}
	if a, ok := Alert(err); ok {
		return p.alerted(a)
	}
	if h, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return p.notTLS(h)
	}
	if f := p.byText(err); f != nil {
		return f
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fault.New(p.failed, p.who+" closed the connection within the TLS handshake: look at what it says, and whether it speaks TLS")
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fault.New(p.failed, p.who+" reset the connection within the TLS handshake: look at what it says, and whether it speaks TLS")
	}
	return fault.Wrap(p.failed, "the TLS handshake with "+p.who+" failed", err)
}

// refused is for what this package does not accept.
func (p *party) refused(r *refusal) *fault.Error {
	certificate := p.certificate(r.leaf)
	switch r.why {
	case revoked:
		return fault.New(p.revoked, certificate+" was revoked "+r.detail+" (crl): give it another")
	case wrongPin:
		return fault.New(p.wrongPin, certificate+" has the key "+r.detail+", which is none of those that are pinned (spki), nor has one above it: "+
			"add that pin if the key was changed on purpose")
	}
	return fault.New(p.wrongName, fmt.Sprintf("%s is for %s, and %s lets in %s alone: give it another, or add its name to %[3]s",
		certificate, namesInWords(r.leaf), p.names, r.detail))
}

// certificate begins a sentence about a certificate of the other side.
func (p *party) certificate(c *x509.Certificate) string {
	return "the certificate of " + p.who + ", " + words(c) + ","
}

// unverified is for what crypto/x509 does not accept.
func (p *party) unverified(v *tls.CertificateVerificationError) *fault.Error {
	leaf := v.UnverifiedCertificates[0]
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](v.Err); ok {
		return p.invalid(leaf, invalid)
	}
	if h, ok := errors.AsType[x509.HostnameError](v.Err); ok {
		return fault.New(p.wrongName, fmt.Sprintf("%s is for %s, and not for %q: set sni to one of its names, list one in %s, or give it a certificate for this name",
			p.certificate(leaf), namesInWords(leaf), clip(h.Host), p.names))
	}
	_, unknown := errors.AsType[x509.UnknownAuthorityError](v.Err)
	_, noRoots := errors.AsType[x509.SystemRootsError](v.Err)
	if !unknown && !noRoots {
		return fault.Wrap(p.bad, p.certificate(leaf)+" is not acceptable", v.Err)
	}
	// A certificate between the two that is out of date leads to no authority.
	for _, c := range v.UnverifiedCertificates {
		if when := validity(c, time.Now()); when != "" {
			return p.outOfTime(c, when)
		}
	}
	return fault.New(p.unknown, fmt.Sprintf("%s is not signed by an authority that is trusted here: add its authority to the file of %s, "+
		"and have it show all certificates between the two", p.certificate(leaf), p.ca))
}

func (p *party) invalid(leaf *x509.Certificate, invalid x509.CertificateInvalidError) *fault.Error {
	switch invalid.Reason {
	case x509.Expired:
		when := validity(invalid.Cert, time.Now())
		if when == "" {
			when = "is not valid at this time"
		}
		return p.outOfTime(invalid.Cert, when)
	case x509.IncompatibleUsage:
		return fault.New(p.bad, p.certificate(leaf)+" is not made for "+p.usage+": issue one whose extended key usage has that")
	}
	return fault.Wrap(p.bad, p.certificate(leaf)+" is not acceptable", invalid)
}

func (p *party) outOfTime(c *x509.Certificate, when string) *fault.Error {
	return fault.New(p.expired, p.certificate(c)+" "+when+": renew it, or set the clock of this machine right")
}

// notTLS is for a first record that is none: the bytes tell what it may be.
func (p *party) notTLS(h tls.RecordHeaderError) *fault.Error {
	first := h.RecordHeader[:]
	switch {
	case bytes.Equal(first, []byte("HTTP/")):
		return fault.New(p.failed, p.who+" does not speak TLS but plain HTTP: use http:// for it, or leave the cluster's tls out")
	case isPlainHTTP(first):
		return fault.New(p.failed, p.who+" speaks plain HTTP to a port that expects TLS: use https:// for it")
	}
	return fault.Wrap(p.failed, p.who+" does not speak TLS, or not as the standard wants it", errors.New(h.Msg))
}

// isPlainHTTP reports whether bytes begin a request: a method, or as much of
// one as they hold.
func isPlainHTTP(first []byte) bool {
	for _, method := range []string{"GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "CONNECT ", "OPTIONS ", "TRACE ", "PATCH ", "PRI * "} {
		if strings.HasPrefix(method, string(first)) || bytes.HasPrefix(first, []byte(method)) {
			return true
		}
	}
	return false
}
