package snapshot_test

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

// authority signs certificates for a test. File is its own, in PEM.
type authority struct {
	t    *testing.T
	dir  string
	File string
	cert *x509.Certificate
	key  crypto.Signer
	n    atomic.Int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
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
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.File = filepath.Join(a.dir, "ca.pem")
	writePEM(t, a.File, "CERTIFICATE", der)
	return a
}

// issue signs a certificate for a name: a DNS name, an IP address or a URI such
// as a SPIFFE id. Its files are those of the configuration.
func (a *authority) issue(name string, change ...func(*x509.Certificate)) config.Certificate {
	a.t.Helper()
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
			a.t.Fatal(err)
		}
		template.URIs = []*url.URL{u}
	default:
		template.DNSNames = []string{name}
	}
	for _, f := range change {
		f(template)
	}
	key := newKey(a.t)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	base := filepath.Join(a.dir, template.SerialNumber.String())
	files := config.Certificate{Cert: base + ".pem", Key: base + ".key"}
	writePEM(a.t, files.Cert, "CERTIFICATE", der)
	writePEM(a.t, files.Key, "PRIVATE KEY", secret)
	return files
}

// pool is the authority as a client or a server trusts it.
func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// load is a certificate as crypto/tls has it.
func (a *authority) load(c config.Certificate) tls.Certificate {
	a.t.Helper()
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

// listenTLS makes a listener encrypt with certificates.
func listenTLS(l *config.Listener, certificates ...config.Certificate) {
	l.TLS = config.NewListenerTLS(certificates[0].Cert, certificates[0].Key)
	l.TLS.Certificates = certificates
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
