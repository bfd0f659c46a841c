package tlsconf_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hopscope/hopscope/proxy/tlsconf"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = time.Minute

// authority signs certificates. File is its own, in PEM.
type authority struct {
	t    testing.TB
	File string
	cert *x509.Certificate
	key  crypto.Signer
	n    int64
}

// newAuthority makes an authority: one that signs itself, or, of another, one
// below that.
func newAuthority(t testing.TB, name string, above *authority, change ...func(*x509.Certificate)) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t), File: filepath.Join(t.TempDir(), "ca.pem")}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	for _, f := range change {
		f(template)
	}
	parent, key := template, a.key
	if above != nil {
		parent, key = above.cert, above.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, a.key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	write(t, a.File, block("CERTIFICATE", der))
	return a
}

// issued is a certificate and its files.
type issued struct {
	tlsconf.Files
	cert *x509.Certificate
	pair tls.Certificate
}

// issue signs a certificate for names: DNS names, IP addresses or URIs.
func (a *authority) issue(names []string, change ...func(*x509.Certificate)) issued {
	a.t.Helper()
	return a.issueFor(newKey(a.t), names, change...)
}

func (a *authority) issueFor(key crypto.Signer, names []string, change ...func(*x509.Certificate)) issued {
	a.t.Helper()
	a.n++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.n), Subject: pkix.Name{CommonName: "holder " + strconv.FormatInt(a.n, 10)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if u, err := url.Parse(name); err == nil && u.Scheme != "" {
			template.URIs = append(template.URIs, u)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	for _, f := range change {
		f(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	dir := a.t.TempDir()
	i := issued{
		Files: tlsconf.Files{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")},
		cert:  leaf, pair: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
	}
	write(a.t, i.Cert, block("CERTIFICATE", der))
	write(a.t, i.Key, block("PRIVATE KEY", secret))
	return i
}

// revoke writes a revocation list to a file and returns its path.
func (a *authority) revoke(path string, revoked ...issued) string {
	a.t.Helper()
	write(a.t, path, block("X509 CRL", a.list(time.Now().Add(time.Hour), revoked...)))
	return path
}

func (a *authority) list(next time.Time, revoked ...issued) []byte {
	a.t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-2 * time.Hour), NextUpdate: next}
	for _, r := range revoked {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: r.cert.SerialNumber, RevocationTime: time.Now().Add(-time.Hour)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, a.cert, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRSA(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// write replaces a file at once, as who cares for its readers does.
func write(t testing.TB, path string, data ...[]byte) {
	t.Helper()
	next := filepath.Join(filepath.Dir(path), "next")
	if err := os.WriteFile(next, bytes.Join(data, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

// joint writes a certificate and its key to one file, which [replace] can replace
// at once.
func joint(t testing.TB, i issued) tlsconf.Files {
	t.Helper()
	path := filepath.Join(t.TempDir(), "joint.pem")
	f := tlsconf.Files{Cert: path, Key: path}
	replace(t, f, i)
	return f
}

// replace puts another certificate and key into a joint file.
func replace(t testing.TB, old tlsconf.Files, next issued) {
	t.Helper()
	write(t, old.Cert, read(t, next.Cert), read(t, next.Key))
}

func expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
}

func future(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
}

// newServer makes a Server that is closed with the test.
func newServer(t testing.TB, o tlsconf.ServerOptions) *tlsconf.Server {
	t.Helper()
	s, err := tlsconf.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// newClient makes a Client that is closed with the test.
func newClient(t testing.TB, o tlsconf.ClientOptions) *tlsconf.Client {
	t.Helper()
	c, err := tlsconf.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// end is what one end of a connection has to say.
type end struct {
	state tls.ConnectionState
	err   error
}

// shake has two ends shake hands over loopback. Each then says a byte and waits
// for the other's, for what TLS 1.3 tells only then.
func shake(t testing.TB, server, client *tls.Config) (s, c end) {
	t.Helper()
	down, up := connect(t)
	done := make(chan end)
	go func() { done <- converse(tls.Server(down, server), down) }()
	c = converse(tls.Client(up, client), up)
	return <-done, c
}

// connect makes the two ends of a connection, closed with the test.
func connect(t testing.TB) (down, up net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if up, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if down, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{down, up} {
		c.SetDeadline(time.Now().Add(patience))
		t.Cleanup(func() { c.Close() })
	}
	return down, up
}

// converse is one end's part of [shake].
func converse(c *tls.Conn, below net.Conn) (e end) {
	// Closing with bytes unread would reset the connection, and take the last
	// word from the other end.
	defer io.Copy(io.Discard, below)
	defer below.(*net.TCPConn).CloseWrite()
	if e.err = c.Handshake(); e.err != nil {
		return e
	}
	e.state = c.ConnectionState()
	if _, e.err = c.Write([]byte("x")); e.err != nil {
		return e
	}
	_, e.err = io.ReadFull(c, make([]byte, 1))
	return e
}

// logged is a log that a test waits on.
type logged struct {
	t     testing.TB
	lines chan string
}

func newLog(t testing.TB) (*logged, *slog.Logger) {
	l := &logged{t, make(chan string, 1000)}
	return l, slog.New(slog.NewTextHandler(l, nil))
}

func (l *logged) Write(line []byte) (int, error) {
	l.lines <- string(line)
	return len(line), nil
}

// wait returns the next line that has all of these texts.
func (l *logged) wait(texts ...string) string {
	l.t.Helper()
	var seen []string
	for late := time.After(patience); ; {
		select {
		case line := <-l.lines:
			if hasAll(line, texts) {
				return line
			}
			seen = append(seen, line)
		case <-late:
			l.t.Fatalf("no line with %q in the log:\n%s", texts, strings.Join(seen, ""))
		}
	}
}

// rest returns the lines that are there.
func (l *logged) rest() (all []string) {
	for {
		select {
		case line := <-l.lines:
			all = append(all, line)
		default:
			return all
		}
	}
}

func hasAll(s string, texts []string) bool {
	for _, text := range texts {
		if !strings.Contains(s, text) {
			return false
		}
	}
	return true
}
