package snapshot_test

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
)

// expired makes a certificate that was good until an hour ago.
func expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(-3*time.Hour), time.Now().Add(-time.Hour)
}

// usage makes a certificate that is good for one thing alone.
func usage(u x509.ExtKeyUsage) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{u} }
}

// leafOf is the certificate in a file.
func leafOf(t testing.TB, path string) *x509.Certificate {
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

// revoke writes a revocation list of certificates, and returns its file.
func (a *authority) revoke(revoked ...config.Certificate) string {
	a.t.Helper()
	n := a.n.Add(1)
	list := &x509.RevocationList{Number: big.NewInt(n), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour)}
	for _, c := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: leafOf(a.t, c.Cert).SerialNumber, RevocationTime: time.Now().Add(-time.Minute)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	path := filepath.Join(a.dir, list.Number.String()+".crl")
	writePEM(a.t, path, "X509 CRL", der)
	return path
}

// trusting is a client of a name, with the certificates that it may show.
func (a *authority) trusting(name string, show ...config.Certificate) *tls.Config {
	c := &tls.Config{RootCAs: a.pool(), ServerName: name}
	for _, files := range show {
		c.Certificates = append(c.Certificates, a.load(files))
	}
	if len(show) > 0 { // also to a server whose list has not this authority
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c.Certificates[0], nil }
	}
	return c
}

// securePeer is a peer whose connection is encrypted. What a peer does with the
// socket itself it does with the one below.
type securePeer struct {
	*peer
	tls *tls.Conn
}

// dialSecure connects, and fails the test unless the handshake succeeds.
func dialSecure(t testing.TB, address string, c *tls.Config) *securePeer {
	t.Helper()
	p, err := tryDialSecure(t, address, c)
	if err != nil {
		t.Fatalf("handshake: %v", err)
	}
	return p
}

func tryDialSecure(t testing.TB, address string, c *tls.Config) (*securePeer, error) {
	t.Helper()
	p := &securePeer{peer: dialPeer(t, address)}
	p.SetDeadline(timeLimit())
	p.tls = tls.Client(p.TCPConn, c)
	p.r = bufio.NewReader(p.tls)
	return p, p.tls.Handshake()
}

// send writes all of it.
func (p *securePeer) send(parts ...string) {
	p.t.Helper()
	p.SetWriteDeadline(timeLimit())
	if _, err := p.tls.Write([]byte(strings.Join(parts, ""))); err != nil {
		p.fail("sending %.100q: %v", parts, err)
	}
}

// askSecure sends a request on an encrypted connection of its own and reads the
// response, with its content.
func askSecure(t testing.TB, address string, c *tls.Config, request string) (*http.Response, string) {
	t.Helper()
	p := dialSecure(t, address, c)
	defer p.Close()
	p.send(request)
	return p.response(methodOf([]string{request}))
}

// handshakeError is how a handshake fails, if it does: with TLS 1.3 the server's verdict
// comes when the handshake is over for the client.
func handshakeError(t testing.TB, address string, c *tls.Config) error {
	t.Helper()
	p, err := tryDialSecure(t, address, c)
	if err == nil {
		_, err = p.tls.Read(make([]byte, 1))
	}
	p.Close()
	return err
}

// secureServer runs Go's own server as an endpoint that speaks TLS; http2 makes
// it speak HTTP/2 besides.
func secureServer(t *testing.T, c *tls.Config, http2 bool, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	s.TLS, s.EnableHTTP2 = c, http2
	s.StartTLS()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.Listener.Addr().String()
}

// speaking has a cluster encrypt its connections, and verify by the authority.
func speaking(s *settings, ca string) *config.ClusterTLS {
	s.Cluster.TLS = config.NewClusterTLS()
	s.Cluster.TLS.CA = ca
	return s.Cluster.TLS
}

// swapFiles replaces files by others at once each, as whoever renews a
// certificate does.
func swapFiles(t testing.TB, from, to config.Certificate) {
	t.Helper()
	swapFile(t, from.Key, to.Key)
	swapFile(t, from.Cert, to.Cert)
}

func swapFile(t testing.TB, from, to string) {
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

// quits fails a test from a goroutine of its own, which it ends.
func quits(t testing.TB) func(string, ...any) {
	return func(format string, args ...any) {
		t.Errorf(format, args...)
		runtime.Goexit()
	}
}
