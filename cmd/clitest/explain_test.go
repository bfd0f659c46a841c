package clitest

import (
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := hopscope(t, "explain", "UF")
	if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "UF (flag): ") {
		t.Errorf("exit code %d, standard error %q, standard output %q", code, stderr, stdout)
	}
	stdout, stderr, code = hopscope(t, "explain", "UT", "UFO")
	if code != 2 || !strings.HasPrefix(stderr, `hopscope: nothing is called "UFO"; did you mean UF`) || !strings.HasPrefix(stdout, "UT (flag): ") {
		t.Errorf("exit code %d, standard error %q, standard output %q", code, stderr, stdout)
	}
	if stdout, _, code = hopscope(t, "explain", "--json"); code != 0 || !strings.HasPrefix(stdout, "[\n") {
		t.Errorf("exit code %d, JSON %.100q", code, stdout)
	}
	if all, _, _ := hopscope(t, "__complete", "explain", ""); !strings.Contains(all, "connect_refused\t") {
		t.Errorf("explain is not completed:\n%s", all)
	}
}
