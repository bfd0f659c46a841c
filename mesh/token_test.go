package mesh

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBadTokens: a file that can't be used is refused, and no error shows what it holds.
func TestBadTokens(t *testing.T) {
	const secret = "hunter2-hunter2"
	for text, want := range map[string]string{
		"": "has 0 tokens", " \n": "has 0 tokens", secret: "at least", secret + "é-and-more": "ASCII", secret + "\x01-and-more": "ASCII",
		strings.Repeat(secret+"xx\n", 17): "has 17 tokens", strings.Repeat("x", maxToken+1): "16 to 4096 characters", strings.Repeat("x\n", 1<<20): "more than",
	} {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if want == "at least" {
			want = "16 to 4096 characters"
		}
		if _, err := OpenTokens(path); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	if _, err := OpenTokens(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "can not be read") {
		t.Error(err)
	}
}

// TestTokensChange: a new token of the file counts, an old one does not, and a file that
// can't be read changes nothing.
func TestTokensChange(t *testing.T) {
	const first, second = "first-0123456789", "second-0123456789"
	path := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(first)
	all, err := OpenTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ text, first, also, not string }{
		{first + "\n" + second + "\n", first, second, ""}, {second, second, second, first}, {"short", second, second, first}, {"", second, second, "short"},
	} {
		write(tt.text)
		all.mu.Lock()
		all.read = all.read.Add(-lookEvery)
		all.mu.Unlock()
		if all.First() != tt.first || !all.Has(tt.also) || all.Has(tt.not) || all.Has(tt.first+"x") || all.Has(tt.first[1:]) {
			t.Errorf("%q: the first is %s", tt.text, all.First())
		}
	}
}
