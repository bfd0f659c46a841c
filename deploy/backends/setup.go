package backends

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// RequireVariable names the environment variable that makes a missing part a failure:
// set to 1, as make test does, Require fails the test instead of skipping it.
const RequireVariable = "HOPSCOPE_REQUIRE_BACKENDS"

// Path returns where a part's program (for zipkin, its jar) is, after having it
// installed or built if it was missing, which for jaeger and consul takes minutes the
// first time. The parts are those of deploy/backends/setup: jaeger, zipkin, prometheus,
// consul, haproxy, nginx, envoy, wrk, chromium, h2spec, h2load, nghttp, curl, grpc-client,
// grpc-server. The working directory must lie within the repository, as it does in
// tests. The error says why the part is not to be had and what to do.
func Path(part string) (string, error) {
	script, err := setupScript()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(script, part)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("deploy/backends/setup %s: %w\n%s", part, err, bytes.TrimSpace(complaints.Bytes()))
	}
	for line := range strings.Lines(string(out)) {
		name, path, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if ok && name == part {
			return path, nil
		}
	}
	return "", fmt.Errorf("deploy/backends/setup %s: printed no path for it:\n%s", part, out)
}

// Require is Path for a test: without the part the test is skipped with the reason,
// or fails where the environment has RequireVariable set to 1.
func Require(tb testing.TB, part string) string {
	tb.Helper()
	path, err := Path(part)
	if err != nil {
		unavailable(tb, os.Getenv(RequireVariable) == "1", err)
	}
	return path
}

func unavailable(tb testing.TB, required bool, err error) {
	tb.Helper()
	if required {
		tb.Fatalf("%s=1, but %v", RequireVariable, err)
	}
	tb.Skipf("skipped: %v", err)
}

// setupScript finds the script from the working directory upwards. The path that the
// compiler recorded would not do: -trimpath cuts it.
func setupScript() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		script := filepath.Join(dir, "deploy", "backends", "setup")
		if _, err := os.Stat(script); err == nil {
			return script, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no deploy/backends/setup in this directory or above it: run from within the repository")
		}
		dir = parent
	}
}
