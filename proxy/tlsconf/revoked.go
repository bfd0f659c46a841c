package tlsconf

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// revocations are the certificates that authorities have revoked: by the public
// key of the authority, then by serial number. A nil one holds none.
type revocations map[string]map[string]time.Time

// loadRevocations reads a file of lists: several in PEM, or one in DER. Each
// has to be signed by one of the authorities. A list that is out of date is
// used all the same, with a warning: what it revokes was revoked for good.
func loadRevocations(path string, authorities []*x509.Certificate, now time.Time, c *contents) (revocations, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	lists, err := parseLists(path, data)
	if err != nil {
		return nil, err
	}
	all := revocations{}
	for i, list := range lists {
		authority := signer(list, authorities)
		if authority == nil {
			return nil, fmt.Errorf("revocation list %d in the file %q is signed by none of the authorities that are trusted: it is by %q", i+1, path, clip(list.Issuer.String()))
		}
		if !list.NextUpdate.IsZero() && now.After(list.NextUpdate) {
			c.warn(fmt.Sprintf("the revocation list of %q in the file %q was due for renewal on %s; it is in use all the same",
				clip(list.Issuer.String()), path, list.NextUpdate.UTC().Format(time.RFC3339)))
		}
		all.add(authority, list)
	}
	return all, nil
}

func parseLists(path string, data []byte) ([]*x509.RevocationList, error) {
	var lists []*x509.RevocationList
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "X509 CRL" {
			continue
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("revocation list %d in the file %q can not be parsed: %w", len(lists)+1, path, err)
		}
		lists = append(lists, list)
	}
	if len(lists) > 0 {
		return lists, nil
	}
	list, err := x509.ParseRevocationList(data)
	if err != nil {
		return nil, fmt.Errorf(`the file %q has no revocation list, in PEM ("-----BEGIN X509 CRL-----") or DER`, path)
	}
	return []*x509.RevocationList{list}, nil
}

// signer finds the authority that has signed a list.
func signer(list *x509.RevocationList, authorities []*x509.Certificate) *x509.Certificate {
	for _, a := range authorities {
		if list.CheckSignatureFrom(a) == nil {
			return a
		}
	}
	return nil
}

func (r revocations) add(authority *x509.Certificate, list *x509.RevocationList) {
	key := string(authority.RawSubjectPublicKeyInfo)
	serials := r[key]
	if serials == nil {
		serials = make(map[string]time.Time, len(list.RevokedCertificateEntries))
		r[key] = serials
	}
	for i := range list.RevokedCertificateEntries {
		const removeFromCRL = 8 // RFC 5280 section 5.3.1: it was on hold
		if e := &list.RevokedCertificateEntries[i]; e.ReasonCode != removeFromCRL {
			serials[serial(e.SerialNumber)] = e.RevocationTime
		}
	}
}

func serial(n *big.Int) string { return string(n.Bytes()) }

// check refuses a certificate if it, or one between it and an authority, was
// revoked, on any of the ways that lead to one: whoever trusts two authorities
// trusts each of them about what it has revoked.
func (r revocations) check(chains [][]*x509.Certificate) error {
	if len(r) == 0 {
		return nil
	}
	for _, chain := range chains {
		for i, c := range chain[:len(chain)-1] {
			if at, ok := r[string(chain[i+1].RawSubjectPublicKeyInfo)][serial(c.SerialNumber)]; ok {
				return &refusal{revoked, c, "on " + at.UTC().Format(time.RFC3339)}
			}
		}
	}
	return nil
}
