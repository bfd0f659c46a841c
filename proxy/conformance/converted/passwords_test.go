package converted_test

import (
	"crypto/sha1"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEnvoyPasswords sends right passwords and wrong ones, and names that are not the
// client's to set.
func TestEnvoyPasswords(t *testing.T) {
	text := example(t, "envoy/basic-auth.in", map[string]string{"3001": "a"}, []string{"x-user"})
	for file, user := range map[string]string{"users.htpasswd": "ann", "admins.htpasswd": "root"} {
		sum := sha1.Sum([]byte("secret"))
		path := filepath.Join(t.TempDir(), file)
		if err := os.WriteFile(path, []byte(user+":{SHA}"+base64.StdEncoding.EncodeToString(sum[:])+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		text = strings.ReplaceAll(text, file, path)
	}
	original, ours := envoyPair(t, "basic-auth.in", text, "web")
	login := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	fields := []map[string]string{nil, {"x-user": "root"}, {"authorization": "Bearer x"}, {"authorization": "Basic !"}}
	for _, user := range []string{"ann", "root", "bob"} {
		for _, password := range []string{"secret", "wrong", ""} {
			fields = append(fields, map[string]string{"authorization": login(user, password), "x-user": "other"})
		}
	}
	same(t, original, ours, product([]string{"web.test"}, []string{"/", "/health", "/admin/x", "/about"}, fields, "GET", "POST"), nil)
}
