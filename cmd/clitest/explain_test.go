package clitest

import (
	"os"
	"path/filepath"
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

func TestExplainARequest(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "hopscope.yaml")
	const text = `
listeners:
  - name: edge
    address: 127.0.0.1:8080
    routes:
      - {name: beta, match: {path_prefix: /cart/, headers: {x-user-group: {exact: beta}}}, cluster: beta}
      - {name: some, match: {path_prefix: /cart/, percent: 10}, cluster: beta}
      - {name: cart, match: {path_prefix: /cart/}, cluster: web, rewrite: {path_prefix: /, host: cart.internal}, timeout: 3s}
      - {name: old, match: {path: /old}, redirect: {path: /new}}
clusters:
  web: {endpoints: ["127.0.0.1:3000"]}
  beta: {consul: {service: beta}}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args string
		want []string
	}{
		{"GET https://shop.test/cart/7?a=b", []string{
			"Route 3 (cart) of listener edge takes 90 % of such requests.\n", "  10 % goes to route 2 (some)\n",
			"  1 (beta)  it wants headers x-user-group exact beta; the request has none\n", "    + GET /7?a=b HTTP/1.1\n", "    + Host: cart.internal\n",
			"    + x-envoy-original-path: /cart/7?a=b\n", "    - Host: shop.test\n", "  the whole response: 3s\n", "endpoints (the configuration, by round_robin): 127.0.0.1:3000\n",
		}},
		{"/cart/7 --chance 5", []string{"Route 2 (some) of listener edge takes it.\n"}},
		{"/cart/7 -H x-user-group:beta", []string{"Route 1 (beta) of listener edge takes it.\n", "endpoints (consul beta, by round_robin): none are known here\n"}},
		{"http://shop.test/old?x", []string{"The proxy itself answers 301\n  location: http://shop.test/new?x\n"}},
		{"/none", []string{"No route of listener edge takes it.\n", "What each route misses\n", "The proxy itself answers 404 (NR)\n", `  4 (old)   it wants path /old; the request has "/none"`}},
	} {
		stdout, stderr, code := hopscope(t, append([]string{"explain", "-c", file}, strings.Fields(tt.args)...)...)
		if code != 0 || stderr != "" {
			t.Errorf("%s: exit code %d, standard error %q", tt.args, code, stderr)
		}
		for _, want := range tt.want {
			if !strings.Contains(stdout, want) {
				t.Errorf("%s: %q is not there:\n%s", tt.args, want, stdout)
			}
		}
	}
	if stdout, _, code := hopscope(t, "explain", "--json", "-c", file, "/cart/7"); code != 0 || !strings.Contains(stdout, `"chance": 0.9`) {
		t.Errorf("exit code %d, JSON %s", code, stdout)
	}
	for args, want := range map[string]string{
		"-H a:b UF":                      "give its file with -c",
		"-c " + file:                     "expected a method and a URL",
		"-c " + file + " cart":           `url: expected http://host/path or a path such as /cart/7, found "cart"`,
		"-c " + file + " / -H a":         `headers: expected a line such as "x-user: beta", found "a"`,
		"-c " + file + " / -H a(:b":      "this is no request: ",
		"-c " + file + " / --client me":  "client: expected an address",
		"-c " + file + " / --listener x": `there is no listener "x"; there are: edge`,
	} {
		if _, stderr, code := hopscope(t, append([]string{"explain"}, strings.Fields(args)...)...); code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d, standard error %q, want %q", args, code, stderr, want)
		}
	}
}
