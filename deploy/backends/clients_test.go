package backends

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate writes a certificate for example.com and 127.0.0.1 that is its own
// authority, and its key.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	lender := httptest.NewTLSServer(nil)
	defer lender.Close()
	pair := lender.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", pair.Certificate[0]), write("key.pem", "PRIVATE KEY", key)
}

func TestGRPC(t *testing.T) {
	cert, key := certificate(t)
	for name, launch := range map[string]func(t *testing.T) (s *GRPCServer, ca string){
		"plain": func(t *testing.T) (*GRPCServer, string) { return GRPC(t, "", ""), "" },
		"TLS":   func(t *testing.T) (*GRPCServer, string) { return GRPC(t, cert, key), cert },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ca := launch(t)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			for _, testCase := range GRPCCases() {
				if err := GRPCCall(ctx, t, testCase, s.Addr, ca, "example.com"); err != nil {
					t.Error(err)
				}
			}
			if err := GRPCCall(ctx, t, "no_such_case", s.Addr, ca, "example.com"); err == nil {
				t.Error("a case that there is not passes")
			}
		})
	}
}

func TestGRPCCallFails(t *testing.T) {
	cert, key := certificate(t)
	s := GRPC(t, cert, key)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, tt := range []struct{ name, address, ca, server, want string }{
		{"no port", "127.0.0.1", "", "", "missing port"},
		{"another name", s.Addr, cert, "elsewhere.test", "elsewhere.test"},
	} {
		if err := GRPCCall(ctx, t, "empty_unary", tt.address, tt.ca, tt.server); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error that says %q", tt.name, err, tt.want)
		}
	}
}

// The clients against an nginx that speaks HTTP/2, with and without TLS: a server to
// copy for a test that needs one.
func TestHTTP2Clients(t *testing.T) {
	cert, key := certificate(t)
	server := Nginx(t, `server {
		listen {{addr "h2c"}} http2;
		listen {{addr "h2"}} ssl http2;
		ssl_certificate `+cert+`;
		ssl_certificate_key `+key+`;
		location / { return 200 "hello\n"; }
	}`)
	plain, secure := server.Addr("h2c"), server.Addr("h2")
	host, port, err := net.SplitHostPort(plain)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		part string
		args []string
		want string
	}{
		{"curl", []string{"-sS", "--http2-prior-knowledge", "-w", "%{http_version}", "http://" + plain}, "hello\n2"},
		{"curl", []string{"-sS", "--cacert", cert, "-w", "%{http_version}", "https://" + secure}, "hello\n2"},
		{"nghttp", []string{"http://" + plain}, "hello"},
		{"nghttp", []string{"--no-verify-peer", "https://" + secure}, "hello"},
		{"h2load", []string{"-n", "20", "-c", "2", "-m", "5", "http://" + plain}, "20 succeeded"},
		{"h2load", []string{"-n", "20", "-c", "2", "-m", "5", "https://" + secure}, "20 succeeded"},
		{"h2spec", []string{"-h", host, "-p", port, "generic/3.1"}, "3 passed"},
	} {
		out, err := exec.Command(Require(t, tt.part), tt.args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), tt.want) {
			t.Errorf("%s %s: %v, want %q in\n%s", tt.part, strings.Join(tt.args, " "), err, tt.want, out)
		}
	}
}
