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
	for name, text := range map[string]string{"token": "0b7a\n", "tokens": "t0ps3cret\nt0ps3cret\n", "blank": " \n",
		"users": "ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n", "plain": "# who\nann:secret\nbob\n",
		"page.html": "<p>%STATUS% %DETAIL%", "broken.html": "<p>%STATUSES%",
		"endpoints.yaml": "endpoints: [a:80]\n", "broken.yaml": "endpoints\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "crl.der"), crl, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCheckFiles(t *testing.T) {
	dir := writeFiles(t)
	cluster := func(keys string) string { return oneCluster("{endpoints: [a:80], tls: {" + keys + "}}") }
	consul := func(keys string) string { return oneCluster("{consul: {service: a, " + keys + "}}") }
	transcoded := func(file string) string {
		return "clusters: {web: {protocol: http2, endpoints: [a:80]}}\n" +
			"listeners: [{name: in, address: \":80\", routes: [{cluster: web, transcode: {descriptors: " + file + "}}]}]\n"
	}
	asking := func(file string) string {
		return "clusters: {web: {endpoints: [a:80]}}\n" +
			"listeners: [{name: in, address: \":80\", routes: [{cluster: web, basic_auth: {file: " + file + "}}]}]\n"
	}
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
		{"Consul", with("") + "consul: {token_file: token, tls: {ca: cert.pem, cert: cert.pem, key: key.pem}}\n", ""},
		{"a cluster's Consul", consul("token_file: token, tls: {ca: cert.pem, cert: cert.pem, key: key.pem}"), ""},
		{"a cluster's Consul without files", consul("tls: {}"), ""},
		{"absent token", with("") + "consul: {token_file: no.token}\n",
			`8:22: consul.token_file: the file "no.token" can not be read: no such file or directory`},
		{"a cluster's absent token", consul("token_file: no.token"),
			`3:42: clusters.web.consul.token_file: the file "no.token" can not be read: no such file or directory`},
		{"blank token", consul("token_file: blank"), `3:42: clusters.web.consul.token_file: the file "blank" is empty; expected an ACL token`},
		{"two tokens", consul("token_file: tokens"),
			`3:42: clusters.web.consul.token_file: the file "tokens" has more than an ACL token: a token has no spaces and no line breaks`},
		{"key of another", with("") + "consul: {tls: {cert: cert.pem, key: other.key}}\n",
			`8:37: consul.tls.key: the file "other.key" is not the private key of "cert.pem": tls: private key does not match public key`},
		{"key for the agent's authorities", consul("tls: {ca: key.pem}"),
			`3:40: clusters.web.consul.tls.ca: the file "key.pem" has no certificate in PEM, which begins with "-----BEGIN CERTIFICATE-----"`},
		{"an error page", with("    error_pages: [{file: page.html}]\n"), ""},
		{"an absent error page", with("    error_pages: [{file: page.html}, {file: no.html}]\n"),
			`5:45: listeners[0].error_pages[1].file: the file "no.html" can not be read: no such file or directory`},
		{"an error page with a mistake", with("    error_pages: [{file: broken.html}]\n"),
			`5:26: listeners[0].error_pages[0].file: the file "broken.html" is no error page: line 1: there is no %STATUSES%; there are %STATUS%, %TITLE%, %REQUEST_ID%, %TRACE_ID%, %DETAIL%, %FAILED_HOP%, %KIND%, %FLAGS%, %SERVICE%, %TRACE_LINK%`},
		{"an error page that tells the public", with("    proxy_status: cut\n    error_pages: [{file: page.html}]\n"),
			`6:26: listeners[0].error_pages[0].file: the file "page.html" is no error page: line 1: %DETAIL% tells what is inside the mesh, and the listener's proxy_status is not "append": take it out of the page; there are %STATUS%, %TITLE%, %REQUEST_ID%, %TRACE_ID%`},
		{"users", asking("users"), ""},
		{"absent users", asking("no-users"),
			`2:83: listeners[0].routes[0].basic_auth.file: the file "no-users" can not be read: no such file or directory`},
		{"users of the catalog", with("") + "catalog: {auth: {staff: {file: users}}}\n", ""},
		{"users of the catalog in plain text", with("") + "catalog: {auth: {staff: {file: plain}}}\n",
			`8:32: catalog.auth.staff.file: the file "plain": line 2: user "ann": its password is in plain text, or hashed in a way that is not known: write its hash, with htpasswd -B FILE NAME
8:32: catalog.auth.staff.file: the file "plain": line 3: expected NAME:HASH, as htpasswd writes it`},
		{"users in plain text", asking("plain"),
			`2:83: listeners[0].routes[0].basic_auth.file: the file "plain": line 2: user "ann": its password is in plain text, or hashed in a way that is not known: write its hash, with htpasswd -B FILE NAME
2:83: listeners[0].routes[0].basic_auth.file: the file "plain": line 3: expected NAME:HASH, as htpasswd writes it`},
		{"absent descriptors", transcoded("no.pb"),
			`2:89: listeners[0].routes[0].transcode.descriptors: the file "no.pb" can not be read: no such file or directory`},
		{"descriptors of something else", transcoded("cert.pem"),
			`2:89: listeners[0].routes[0].transcode.descriptors: the file "cert.pem": it is no protobuf descriptor set; protoc --include_imports --descriptor_set_out=FILE writes one`},
		{"absent endpoints", oneCluster("{file: {path: no.yaml}}"), ""}, // they may come later
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

func TestCheckWithEndpoints(t *testing.T) {
	t.Chdir(writeFiles(t))
	const text = `listeners: [{name: in, address: ':80', forward_proxy: {}}]
consul: {token_file: no.token}
clusters:
  absent: {file: {path: no.yaml}}
  broken: {file: {path: broken.yaml}}
  good: {file: {path: endpoints.yaml}}
`
	if err := os.WriteFile("hopscope.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	const token = `hopscope.yaml:2:22: consul.token_file: the file "no.token" can not be read: no such file or directory; a path is relative to the directory that hopscope is started in`
	const absent = `hopscope.yaml:4:25: clusters.absent.file.path: the file "no.yaml" can not be read: no such file or directory; a path is relative to the directory that hopscope is started in`
	var seen []string
	twice := func(path string) error {
		seen = append(seen, path)
		if path == "broken.yaml" {
			return errors.New("broken.yaml:1:1: one\nbroken.yaml:1:9: another")
		}
		return nil
	}
	tests := []struct {
		name      string
		endpoints func(string) error
		want      string
	}{
		{"there", nil, token + "\n" + absent},
		{"and good", twice, token + "\n" + absent + `
hopscope.yaml:5:25: clusters.broken.file.path: broken.yaml:1:1: one
hopscope.yaml:5:25: clusters.broken.file.path: broken.yaml:1:9: another`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := CheckWithEndpoints("hopscope.yaml", tt.endpoints)
			if err == nil || c != nil {
				t.Fatalf("%v, %v", c, err)
			}
			if d := cmp.Diff(tt.want, err.Error()); d != "" {
				t.Error(d)
			}
		})
	}
	if d := cmp.Diff([]string{"broken.yaml", "endpoints.yaml"}, seen); d != "" {
		t.Errorf("files that were given on: %s", d)
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
