package proxytest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
)

// Authority signs certificates for a test. File is its own, in PEM.
type Authority struct {
	T    testing.TB
	Dir  string
	File string
	Cert *x509.Certificate
	key  crypto.Signer
	n    atomic.Int64
}

// NewAuthority makes an authority, whose files last as long as the test.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{T: t, Dir: t.TempDir()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	a.key = newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.Cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.File = filepath.Join(a.Dir, "ca.pem")
	writePEM(t, a.File, "CERTIFICATE", der)
	return a
}

// Issue signs a certificate for a name: a DNS name, an IP address or a URI such
// as a SPIFFE id. Its files are those of the configuration.
func (a *Authority) Issue(name string, change ...func(*x509.Certificate)) config.Certificate {
	a.T.Helper()
	n := a.n.Add(1)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1 + n), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	switch ip := net.ParseIP(name); {
	case ip != nil:
		template.IPAddresses = []net.IP{ip}
	case strings.Contains(name, "://"):
		u, err := url.Parse(name)
		if err != nil {
			a.T.Fatal(err)
		}
		template.URIs = []*url.URL{u}
	default:
		template.DNSNames = []string{name}
	}
	for _, f := range change {
		f(template)
	}
	key := newKey(a.T)
	der, err := x509.CreateCertificate(rand.Reader, template, a.Cert, key.Public(), a.key)
	if err != nil {
		a.T.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.T.Fatal(err)
	}
	base := filepath.Join(a.Dir, template.SerialNumber.String())
	files := config.Certificate{Cert: base + ".pem", Key: base + ".key"}
	writePEM(a.T, files.Cert, "CERTIFICATE", der)
	writePEM(a.T, files.Key, "PRIVATE KEY", secret)
	return files
}

// Pool is the authority as a client or a server trusts it.
func (a *Authority) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.Cert)
	return p
}

// Load is a certificate as crypto/tls has it.
func (a *Authority) Load(c config.Certificate) tls.Certificate {
	a.T.Helper()
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		a.T.Fatal(err)
	}
	return pair
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Expired makes a certificate that was good until an hour ago.
func Expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(-3*time.Hour), time.Now().Add(-time.Hour)
}

// LeafOf is the certificate in a file.
func LeafOf(t testing.TB, path string) *x509.Certificate {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Revoke writes a revocation list of certificates, and returns its file.
func (a *Authority) Revoke(revoked ...config.Certificate) string {
	a.T.Helper()
	n := a.n.Add(1)
	list := &x509.RevocationList{Number: big.NewInt(n), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour)}
	for _, c := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: LeafOf(a.T, c.Cert).SerialNumber, RevocationTime: time.Now().Add(-time.Minute)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.Cert, a.key)
	if err != nil {
		a.T.Fatal(err)
	}
	path := filepath.Join(a.Dir, list.Number.String()+".crl")
	writePEM(a.T, path, "X509 CRL", der)
	return path
}

// ClientConfig is a client of a name, with the certificates that it may show.
func (a *Authority) ClientConfig(name string, show ...config.Certificate) *tls.Config {
	c := &tls.Config{RootCAs: a.Pool(), ServerName: name}
	for _, files := range show {
		c.Certificates = append(c.Certificates, a.Load(files))
	}
	if len(show) > 0 { // also to a server whose list has not this authority
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c.Certificates[0], nil }
	}
	return c
}

// ReplaceCertificate replaces files by others at once each, as whoever renews a
// certificate does.
func ReplaceCertificate(t testing.TB, from, to config.Certificate) {
	t.Helper()
	ReplaceFile(t, from.Key, to.Key)
	ReplaceFile(t, from.Cert, to.Cert)
}

// ReplaceFile replaces the file to by a copy of the file from, at once.
func ReplaceFile(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to+".new", b, 0o600)
	}
	if err == nil {
		err = os.Rename(to+".new", to)
	}
	if err != nil {
		t.Fatal(err)
	}
}
