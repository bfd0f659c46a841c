package clitest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// secureServer starts a TLS server that answers with the protocol of the request. Its
// certificate, for 127.0.0.1, is self-signed.
func secureServer(t *testing.T) *httptest.Server {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// certificateOf writes a server's certificate and its key to files.
func certificateOf(t *testing.T, s *httptest.Server) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert = file(t, "web.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	return cert, file(t, "web.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

// dumped is what the flags of TLS and HTTP/2 made of the configuration.
type dumped struct {
	Listeners []struct {
		TLS *struct {
			Certificates []struct{ Cert, Key string }
		}
	}
	Clusters map[string]struct {
		Endpoints []string
		Protocol  string
		TLS       *struct {
			CA       string
			Insecure bool `json:"insecure_skip_verify"`
		}
	}
}

// TestRunFlagsOfTLS checks what configuration each set of flags makes.
func TestRunFlagsOfTLS(t *testing.T) {
	t.Parallel()
	cert, key := certificateOf(t, secureServer(t))
	tests := []struct {
		name string
		args []string
		want string // certificates of the listener, endpoints, protocol, TLS of the cluster
		log  string // of the listener
		warn bool
	}{
		{"plain", []string{"--to=127.0.0.1:1"}, "- [127.0.0.1:1] auto -", "tls=false protocols=h2c,http/1.1", false},
		{"http", []string{"--to=HTTP://127.0.0.1:1/,127.0.0.1:2"}, "- [127.0.0.1:1 127.0.0.1:2] auto -", "tls=false", false},
		{"h2c", []string{"--to=h2c://127.0.0.1:1,h2c://127.0.0.1:2"}, "- [127.0.0.1:1 127.0.0.1:2] http2 -", "tls=false", false},
		{"https", []string{"--to=https://127.0.0.1:1"}, "- [127.0.0.1:1] auto tls: authorities \"\", insecure false", "tls=false", false},
		{"authorities", []string{"--to=https://127.0.0.1:1", "--to-ca=" + cert},
			"- [127.0.0.1:1] auto tls: authorities \"" + cert + "\", insecure false", "tls=false", false},
		{"insecure", []string{"--to=https://127.0.0.1:1", "--to-insecure"}, "- [127.0.0.1:1] auto tls: authorities \"\", insecure true", "tls=false", true},
		{"certificate", []string{"--to=127.0.0.1:1", "--tls-cert=" + cert, "--tls-key=" + key},
			"[{" + cert + " " + key + "}] [127.0.0.1:1] auto -", "tls=true protocols=h2,http/1.1", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, append([]string{"run", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0", "--service=web"}, tt.args...)...)
			_, text := get(t, p.admin()+"/config_dump")
			var d dumped
			if err := json.Unmarshal([]byte(text), &d); err != nil || len(d.Listeners) != 1 {
				t.Fatalf("%v in\n%s", err, text)
			}
			c := d.Clusters["web"]
			front, back := "-", "-"
			if l := d.Listeners[0].TLS; l != nil {
				front = fmt.Sprint(l.Certificates)
			}
			if c.TLS != nil {
				back = fmt.Sprintf("tls: authorities %q, insecure %t", c.TLS.CA, c.TLS.Insecure)
			}
			if diff := cmp.Diff(tt.want, fmt.Sprint(front, " ", c.Endpoints, " ", c.Protocol, " ", back)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			p.drained()
			said := p.stderr.String()
			if !strings.Contains(said, tt.log) || strings.Contains(said, "not verified") != tt.warn {
				t.Errorf("want %q, and a warning: %t; the log:\n%s", tt.log, tt.warn, said)
			}
		})
	}
}

// TestRunTLS has TLS on both sides. Each side negotiates its own protocol.
func TestRunTLS(t *testing.T) {
	t.Parallel()
	backend := secureServer(t)
	cert, key := certificateOf(t, backend)
	p := runProxy(t, backend.URL, "--to-ca="+cert, "--tls-cert="+cert, "--tls-key="+key)
	roots := x509.NewCertPool()
	roots.AddCert(backend.Certificate())
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		client := newClient(t)
		transport := client.Transport.(*http.Transport)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
		transport.ForceAttemptHTTP2 = proto == "HTTP/2.0"
		resp, body, err := tryGet(client, http.MethodGet, "https://"+p.address("ingress")+"/")
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 200 || resp.Proto != proto || body != "HTTP/2.0" {
			t.Errorf("status %d in %s, want 200 in %s; the service was asked in %s, want HTTP/2.0", resp.StatusCode, resp.Proto, proto, body)
		}
	}
	p.drained()
}

// TestCheckReadsFiles names files that do not exist, or hold something else.
func TestCheckReadsFiles(t *testing.T) {
	t.Parallel()
	cert, _ := certificateOf(t, secureServer(t))
	path := file(t, "hopscope.yaml", `listeners:
  - name: front
    address: 127.0.0.1:0
    tls:
      certificates:
        - cert: `+cert+`
          key: absent.key
    routes: [{cluster: web}]
clusters:
  web:
    endpoints: [127.0.0.1:1]
    tls: {ca: hopscope.yaml}
`)
	for _, command := range []string{"check", "run"} {
		p := newProcess(t, command, "-c", path)
		p.cmd.Dir = filepath.Dir(path)
		p.begin()
		if code := p.exit(); code != 1 {
			t.Errorf("%s: exit code %d", command, code)
		}
		want := path + `:7:16: listeners[0].tls.certificates[0].key: the file "absent.key" can not be read: no such file or directory; ` +
			"a path is relative to the directory that hopscope is started in\n" +
			path + `:12:15: clusters.web.tls.ca: the file "hopscope.yaml" has no certificate in PEM, which begins with "-----BEGIN CERTIFICATE-----"` + "\n"
		if diff := cmp.Diff(want, p.stderr.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", command, diff)
		}
	}
	if err := os.WriteFile(path, []byte("listeners: [{name: a, address: \":0\", forward_proxy: {}}]\nclusters: {c: {endpoints: [a:1], tls: {ca: "+cert+"}}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := hopscope(t, "check", "-c", path); code != 0 {
		t.Errorf("good files: exit code %d, %s", code, stderr)
	}
}
