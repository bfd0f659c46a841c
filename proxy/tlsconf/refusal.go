package tlsconf

import "crypto/x509"

// refusal is why this package, not crypto/x509, does not accept a certificate.
type refusal struct {
	why  why
	leaf *x509.Certificate
	// detail is, by why: the names that are let in; when it was revoked; the
	// pin of the certificate.
	detail string
}

type why uint8

const (
	wrongName why = iota
	revoked
	wrongPin
)

func (r *refusal) Error() string {
	switch r.why {
	case revoked:
		return "the certificate was revoked " + r.detail
	case wrongPin:
		return "the certificate's key is not one that is pinned"
	}
	return "the certificate has none of the names that are let in"
}
