package tlsconf

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/hopscope/hopscope/discovery/filewatch"
)

// maxFileBytes is how much is read of a file. A bundle of all the authorities
// that browsers know has a quarter of a megabyte.
const maxFileBytes = 16 << 20

func readFile(path string) ([]byte, error) { return filewatch.Read(path, maxFileBytes) }

// Files are the paths of a certificate, followed by those between it and its authority, and
// of its private key. Both are PEM.
type Files struct{ Cert, Key string }

// loadPair reads a certificate and its key, and warns of one that has expired.
func loadPair(f Files, now time.Time) (pair *tls.Certificate, warning string, err error) {
	chain, err := loadCertificates(f.Cert)
	if err != nil {
		return nil, "", err
	}
	key, err := readFile(f.Key)
	if err != nil {
		return nil, "", err
	}
	var cert bytes.Buffer
	for _, c := range chain {
		pem.Encode(&cert, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	// The certificates are good: what is wrong now is the key.
	loaded, err := tls.X509KeyPair(cert.Bytes(), key)
	if err != nil {
		return nil, "", fmt.Errorf("the file %q is not the private key of the certificate in %q: %w", f.Key, f.Cert, err)
	}
	return &loaded, outOfTime(f.Cert, loaded.Leaf, now), nil
}

// loadCertificates reads a file of one certificate or more.
func loadCertificates(path string) ([]*x509.Certificate, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d in the file %q can not be parsed: %w", len(all)+1, path, err)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf(`the file %q has no certificate in PEM, which begins with "-----BEGIN CERTIFICATE-----"`, path)
	}
	return all, nil
}

// loadAuthorities reads a bundle, and warns of expired certificates in it: what they signed
// is refused as if its origin were unknown.
func loadAuthorities(path string, now time.Time, c *contents) ([]*x509.Certificate, *x509.CertPool, error) {
	all, err := loadCertificates(path)
	if err != nil {
		return nil, nil, err
	}
	pool := x509.NewCertPool()
	for _, authority := range all {
		pool.AddCert(authority)
		c.warn(outOfTime(path, authority, now))
	}
	return all, pool, nil
}

// outOfTime returns a warning if a certificate is not valid now.
func outOfTime(path string, c *x509.Certificate, now time.Time) string {
	if when := validity(c, now); when != "" {
		return fmt.Sprintf("certificate %s in the file %q %s; it is in use all the same", words(c), path, when)
	}
	return ""
}
