package http2_test

import (
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// h2spec, whole and strict, on h2c and on TLS.
func TestH2Spec(t *testing.T) {
	tool := backends.Require(t, "h2spec")
	ca := proxytest.NewAuthority(t)
	cert := ca.Issue("127.0.0.1")
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"h2c", nil},
		{"h2c http2", []string{"http2"}},
		{"tls", []string{"-t", "-k"}},
		{"tls http2", []string{"-t", "-k", "http2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := proxytest.Start(t, proxytest.Serve(t, proxytest.Echo), func(s *proxytest.Settings) {
				if slices.Contains(tt.args, "-t") {
					proxytest.ListenTLS(&s.Listener, cert)
				}
			})
			host, port, err := net.SplitHostPort(p.Ingress())
			if err != nil {
				t.Fatal(err)
			}
			args := append([]string{"-h", host, "-p", port, "--strict", "-o", "10"}, tt.args...)
			out, err := exec.Command(tool, args...).CombinedOutput()
			text := string(out)
			if err != nil || !strings.Contains(text, " 0 failed") {
				if i := strings.Index(text, "Failures:"); i >= 0 {
					text = text[i:]
				}
				t.Errorf("h2spec %s: %v\n%s", strings.Join(args, " "), err, text)
			}
		})
	}
}
