package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// certificate is what every proxy shows over TLS: the same for all, made for this
// run, its own authority. Each program wants its files in another way.
type certificate struct {
	cert, key, pair string // files: the certificate, its key, both in one
	roots           *x509.CertPool
}

// makeCertificate makes an ECDSA P-256 certificate for loopback in dir.
func makeCertificate(dir string) (certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "bench"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().AddDate(0, 0, 7),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return certificate{}, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return certificate{}, err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	c := certificate{
		cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"), pair: filepath.Join(dir, "pair.pem"),
		roots: x509.NewCertPool(),
	}
	c.roots.AppendCertsFromPEM(certPEM)
	for path, text := range map[string][]byte{c.cert: certPEM, c.key: keyPEM, c.pair: slices.Concat(certPEM, keyPEM)} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return certificate{}, err
		}
	}
	return c, nil
}
