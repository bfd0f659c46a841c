package config

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// writeFiles makes an authority with a certificate, its key and a revocation
// list, another key, and what is of no use, and returns their directory.
func writeFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, blocks ...*pem.Block) {
		var b bytes.Buffer
		for _, block := range blocks {
			if err := pem.Encode(&b, block); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	newKey := func() (*ecdsa.PrivateKey, *pem.Block) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return key, &pem.Block{Type: "PRIVATE KEY", Bytes: der}
	}
	key, keyBlock := newKey()
	_, otherKey := newKey()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"a"}, NotAfter: time.Unix(4e9, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte{1}}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	crl, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), NextUpdate: time.Unix(4e9, 0)}, ca, key)
	if err != nil {
		t.Fatal(err)
	}
	cert := &pem.Block{Type: "CERTIFICATE", Bytes: der}
	write("cert.pem", cert)
	write("key.pem", keyBlock)
	write("both.pem", keyBlock, cert)
	write("other.key", otherKey)
	write("broken.pem", cert, &pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})
	write("crl.pem", &pem.Block{Type: "X509 CRL", Bytes: crl})
	write("broken-crl.pem", &pem.Block{Type: "X509 CRL", Bytes: []byte("x")})
	write("empty.pem")
	if err := os.WriteFile(filepath.Join(dir, "crl.der"), crl, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCheckFiles(t *testing.T) {
	dir := writeFiles(t)
	cluster := func(keys string) string { return oneCluster("{endpoints: [a:80], tls: {" + keys + "}}") }
	const auth = "certificates: [{cert: cert.pem, key: key.pem}]\nclient_auth: require\n"
	tests := []struct {
		name, text string
		want       string // "" stands for the directory, "" for no mistake
	}{
		{"no TLS", with(""), ""},
		{"a listener", oneTLS(auth + "client_ca: cert.pem\ncrl: crl.pem"), ""},
		{"a cluster", cluster("ca: cert.pem, cert: cert.pem, key: key.pem, crl: crl.der"), ""},
		{"a cluster without files", cluster(""), ""},
		{"certificate and key in one file", cluster("ca: both.pem, cert: both.pem, key: both.pem"), ""},
		{"absent certificate", oneTLS("certificates: [{cert: no.pem, key: key.pem}]"),
			`5:27: listeners[0].tls.certificates[0].cert: the file "no.pem" can not be read: no such file or directory`},
		{"the second pair", oneTLS("certificates: [{cert: cert.pem, key: key.pem}, {cert: cert.pem, key: other.key}]"),
			`5:74: listeners[0].tls.certificates[1].key: the file "other.key" is not the private key of "cert.pem": tls: private key does not match public key`},
		{"both absent", cluster("cert: no.pem, key: no.key"),
			`3:40: clusters.web.tls.cert: the file "no.pem" can not be read: no such file or directory
3:53: clusters.web.tls.key: the file "no.key" can not be read: no such file or directory`},
		{"key for a certificate", cluster("cert: key.pem, key: key.pem"),
			`3:40: clusters.web.tls.cert: the file "key.pem" has no certificate in PEM, which begins with "-----BEGIN CERTIFICATE-----"`},
		{"certificate for a key", cluster("cert: cert.pem, key: cert.pem"),
			`3:55: clusters.web.tls.key: the file "cert.pem" is not the private key of "cert.pem": tls: found a certificate rather than a key in the PEM for the private key`},
		{"empty authorities", cluster("ca: empty.pem"),
			`3:38: clusters.web.tls.ca: the file "empty.pem" has no certificate in PEM, which begins with "-----BEGIN CERTIFICATE-----"`},
		{"broken authorities", oneTLS(auth + "client_ca: broken.pem"),
			`7:16: listeners[0].tls.client_ca: certificate 2 in the file "broken.pem" can not be parsed: x509: malformed certificate`},
		{"directory", cluster("ca: ."), `3:38: clusters.web.tls.ca: the file "." can not be read: is a directory`},
		{"certificates for revocation lists", oneTLS(auth + "client_ca: cert.pem\ncrl: cert.pem"),
			`8:10: listeners[0].tls.crl: the file "cert.pem" has no revocation list, in PEM ("-----BEGIN X509 CRL-----") or DER`},
		{"broken revocation list", cluster("crl: broken-crl.pem"),
			`3:39: clusters.web.tls.crl: revocation list 1 in the file "broken-crl.pem" can not be parsed: x509: malformed crl`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(dir) // paths are relative
			path := filepath.Join(t.TempDir(), "hopscope.yaml")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := Check(path)
			got := ""
			if err != nil {
				got = strings.ReplaceAll("\n"+err.Error(), "\n"+path+":", "\n")[1:]
			}
			got = strings.ReplaceAll(got, "; a path is relative to the directory that hopscope is started in", "")
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
			if (c == nil) != (tt.want != "") {
				t.Errorf("the config %v", c)
			}
		})
	}
}

func TestCheckFilesOfBuilt(t *testing.T) {
	dir := writeFiles(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	c := New()
	l := NewListener("in", ":0")
	l.ForwardProxy = NewForwardProxy()
	l.TLS = NewListenerTLS(in("cert.pem"), in("key.pem"))
	c.Listeners = []Listener{l}
	if err := errors.Join(c.Validate(), c.CheckFiles()); err != nil {
		t.Error(err)
	}
	l.TLS.Certificates[0].Key = "no.pem"
	want := `listeners[0].tls.certificates[0].key: the file "no.pem" can not be read: no such file or directory; a path is relative to the directory that hopscope is started in`
	if err := c.CheckFiles(); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := c.Validate(); err != nil {
		t.Errorf("Validate looks at files: %v", err)
	}
}

func TestCheckWithoutFile(t *testing.T) {
	if _, err := Check(filepath.Join(t.TempDir(), "absent.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
	path := filepath.Join(t.TempDir(), "hopscope.yaml")
	if err := os.WriteFile(path, []byte("listeners: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var list Errors
	if _, err := Check(path); !errors.As(err, &list) || len(list) != 1 {
		t.Errorf("broken file: %v", err)
	}
}
