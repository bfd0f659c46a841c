package http2_test

import (
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/deploy/backends"
)

// h2spec, whole and strict, against a server that echoes. That it passes through
// the proxy too is tested in proxy/conformance/http2.
func TestH2Spec(t *testing.T) {
	tool := backends.Require(t, "h2spec")
	t.Parallel()
	host, port, err := net.SplitHostPort(serve(t, hello, nil).address)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "-h", host, "-p", port, "--strict", "-o", "5").CombinedOutput()
	if text := string(out); err != nil || !strings.Contains(text, " 0 failed") {
		if i := strings.Index(text, "Failures:"); i >= 0 {
			text = text[i:]
		}
		t.Errorf("h2spec: %v\n%s", err, text)
	}
}
