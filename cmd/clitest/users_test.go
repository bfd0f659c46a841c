package clitest

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

const (
	annSecret = "ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n" // "secret"
	annOther  = "ann:{SHA}pv2GBvjxKnVBICqTPkoqmG/ZwaE=\n" // "se:cret"
)

// askingFor is a configuration that asks for passwords of a file, and the file.
func askingFor(t *testing.T, content string) (path, users string) {
	users = file(t, "users", content)
	path = file(t, "hopscope.yaml", fmt.Sprintf(`service: web
admin: {address: 127.0.0.1:0}
listeners: [{name: ingress, address: "127.0.0.1:0", routes: [{answer: {body: in}, basic_auth: {file: %q, realm: shop}}]}]
`, users))
	return path, users
}

// TestReloadUsers changes the file with users. A mistake in it is told with its line, and the
// users before stay. Passwords and hashes are in no log.
func TestReloadUsers(t *testing.T) {
	t.Parallel()
	path, users := askingFor(t, annSecret)
	p := start(t, "run", "-c", path)
	client := newClient(t)
	as := func(credentials string) string { return strings.Replace(p.url(), "://", "://"+credentials+"@", 1) }
	is := func(credentials string, in bool) {
		t.Helper()
		status := map[bool]int{true: http.StatusOK, false: http.StatusUnauthorized}[in]
		proxytest.Eventually(t, fmt.Sprintf("%s gets %d", credentials, status), func() bool {
			resp, _, err := tryGet(client, http.MethodGet, as(credentials))
			if err != nil {
				t.Fatal(err)
			}
			return resp.StatusCode == status
		})
	}
	is("ann:secret", true)
	is("ann:se%3Acret", false)
	must(t, os.WriteFile(users, []byte(annOther), 0o600))
	is("ann:se%3Acret", true)
	is("ann:secret", false)
	must(t, os.WriteFile(users, []byte(annSecret+"bob:hunter2\n"), 0o600))
	p.find(`basic_auth.file: the file .*users.*: line 2: user .*bob.*: its password is in plain text`)
	is("ann:se%3Acret", true)
	is("ann:secret", false)
	replace(t, users, "bob:"+strings.TrimPrefix(annSecret, "ann:"))
	is("bob:secret", true)
	is("ann:se%3Acret", false)
	p.drained()
	said := p.stderr.String() + p.stdout.String()
	for _, secret := range []string{"hunter2", "se:cret", "5en6G6", "pv2GBv"} {
		if strings.Contains(said, secret) {
			t.Errorf("the log has %q:\n%s", secret, said)
		}
	}
}

// TestStartWithoutUsers: a proxy does not start with a file of users that has a mistake.
func TestStartWithoutUsers(t *testing.T) {
	t.Parallel()
	path, users := askingFor(t, annSecret+"\nbob:hunter2\n")
	for _, command := range []string{"check", "run"} {
		_, stderr, code := hopscope(t, command, "-c", path)
		want := fmt.Sprintf("the file %q: line 3: user \"bob\": its password is in plain text", users)
		if code == 0 || !strings.Contains(stderr, want) || strings.Contains(stderr, "hunter2") {
			t.Errorf("%s: exit code %d, standard error %q, want %q", command, code, stderr, want)
		}
	}
}

func TestExplainPasswords(t *testing.T) {
	t.Parallel()
	path, _ := askingFor(t, annSecret)
	for _, tt := range []struct {
		fields []string
		want   []string
	}{
		{nil, []string{"basic_auth", "The proxy itself answers 401\n  no_credential_for_basic_auth\n", `www-authenticate: Basic realm="shop"`}},
		{[]string{"-H", "authorization: Basic YW5uOndyb25n"}, []string{"The proxy itself answers 401\n  invalid_credential_for_basic_auth\n"}},
		{[]string{"-H", "authorization: Basic YW5uOnNlY3JldA=="}, []string{"The proxy itself answers 200\n"}},
	} {
		stdout, stderr, code := hopscope(t, append([]string{"explain", "-c", path, "GET", "http://shop.test/"}, tt.fields...)...)
		if code != 0 || stderr != "" {
			t.Errorf("%q: exit code %d, standard error %q", tt.fields, code, stderr)
		}
		for _, want := range tt.want {
			if !strings.Contains(stdout, want) {
				t.Errorf("%q: %q is not there:\n%s", tt.fields, want, stdout)
			}
		}
	}
}
