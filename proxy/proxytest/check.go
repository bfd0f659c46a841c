package proxytest

import (
	"strconv"
	"strings"
	"testing"
)

// Same fails the test, and goes on, unless two values are equal.
func Same[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// Reason checks that a sentence has a part, and that there is none where there
// should not be one.
func Reason(t testing.TB, what, got, part string) {
	t.Helper()
	if (part == "") != (got == "") || !strings.Contains(got, part) {
		t.Errorf("%s: %q, want one with %q", what, got, part)
	}
}

// ContainsAll reports whether a text has all parts.
func ContainsAll(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// AttributeOf is n as an attribute that is absent where n is 0.
func AttributeOf(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
