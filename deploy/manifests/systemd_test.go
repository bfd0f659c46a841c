package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestSystemd has systemd itself read the units, and say how exposed the service is.
func TestSystemd(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze here: install Debian's package systemd")
	}
	dir := t.TempDir()
	for _, name := range []string{"hopscope.service", "hopscope.socket"} {
		text, err := os.ReadFile(filepath.Join(root, "deploy/systemd", name))
		if err != nil {
			t.Fatal(err)
		}
		unit := strings.ReplaceAll(string(text), "/usr/local/bin/hopscope", "/bin/true") // which has to be there
		if version(t, analyze) < 253 {
			unit = strings.Replace(unit, "Type=notify-reload", "Type=notify", 1)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(unit), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	service := filepath.Join(dir, "hopscope.service")
	// It complains and goes on about what it does not know.
	if out, err := exec.Command(analyze, "verify", "--man=no", service, filepath.Join(dir, "hopscope.socket")).CombinedOutput(); err != nil || strings.Contains(string(out), dir) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	// 10 is a service that may do all.
	if out, err := exec.Command(analyze, "security", "--offline=true", "--threshold=20", "--no-pager", service).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}

// version is that of systemd.
func version(t *testing.T, analyze string) int {
	t.Helper()
	out, err := exec.Command(analyze, "--version").Output()
	m := regexp.MustCompile(`^systemd (\d+)`).FindSubmatch(out)
	if err != nil || m == nil {
		t.Fatalf("%v: %s", err, out)
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n
}
