package clitest

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

func TestConvert(t *testing.T) {
	t.Parallel()
	examples, err := filepath.Abs("../../proxy/convert/testdata/envoy")
	must(t, err)
	path := filepath.Join(examples, "clusters.in")
	stdout, stderr, code := hopscope(t, "convert", "envoy", path)
	if code != 3 || !strings.Contains(stderr, path+":80: not converted: clusters[2].type: EDS") {
		t.Errorf("exit code %d, standard error\n%s", code, stderr)
	}
	if _, stderr, code := hopscope(t, "convert", "envoy", filepath.Join(examples, "routes.in")); code != 0 || stderr != "" {
		t.Errorf("exit code %d, standard error\n%s", code, stderr)
	}
	if _, stderr, code := hopscope(t, "check", "-c", file(t, "hopscope.yaml", strings.ReplaceAll(stdout, "/etc/ssl/certs/ca-certificates.crt", proxytest.NewAuthority(t).File))); code != 0 {
		t.Errorf("hopscope check says\n%s", stderr)
	}
	if stdout, stderr, code := hopscope(t, "convert", "envoy", file(t, "broken.yaml", "a: [")); code != 1 || stdout != "" || !strings.Contains(stderr, "broken.yaml:1:") {
		t.Errorf("exit code %d, standard output %q, standard error %q", code, stdout, stderr)
	}
}
