package clitest

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
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
      - {name: calls, match: {grpc: {service: shop.Cart}}, cluster: calls}
clusters:
  web: {endpoints: ["127.0.0.1:3000"]}
  beta: {consul: {service: beta}}
  calls: {endpoints: ["127.0.0.1:3001"], protocol: http2}
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
		{"--http2 POST /shop.Cart/Add -H content-type:application/grpc -H te:trailers", []string{
			"Route 5 (calls) of listener edge takes it.\n", "      POST /shop.Cart/Add HTTP/2\n      host: localhost\n      content-type: application/grpc\n",
			"    + grpc-timeout: 15000000u\n      te: trailers\n",
		}},
		{"--http2 POST /shop.Stock/Add -H content-type:application/grpc", []string{
			"The proxy itself answers 200 with grpc-status UNIMPLEMENTED (NR)\n", `  5 (calls)  it wants grpc service shop.Cart; the request has "POST /shop.Stock/Add with content-type application/grpc"`,
		}},
		{"/none", []string{"No route of listener edge takes it.\n", "What each route misses\n", "The proxy itself answers 404 (NR)\n", `  4 (old)    it wants path /old; the request has "/none"`}},
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

func TestExplainARequestThatHappened(t *testing.T) {
	t.Parallel()
	to := serve(t, hello)
	p := start(t, "run", "-c", file(t, "hopscope.yaml", `
service: shop
admin: {address: 127.0.0.1:0}
listeners:
  - name: ingress
    address: 127.0.0.1:0
    routes:
      - {name: beta, match: {headers: {x-user-group: {exact: beta}}}, cluster: web, rewrite: {path_prefix: /beta/}}
      - {name: cart, match: {path_prefix: /cart/}, cluster: web, rewrite: {path_prefix: /}}
clusters: {web: {endpoints: ["`+to+`"]}}
`))
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	send := func(trace, path, group string) {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url()+path, nil)
		r.Header.Set("traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
		if group != "" {
			r.Header.Set("x-user-group", group)
		}
		answer, err := newClient(t).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		proxytest.Finish(answer)
		proxytest.Eventually(t, "the hop", func() bool {
			_, body := get(t, p.admin()+"/hops?trace="+trace)
			return strings.Contains(body, "inbound")
		})
	}
	at := strings.TrimPrefix(p.admin(), "http://")
	explain := func(want []string, args ...string) {
		t.Helper()
		stdout, stderr, code := hopscope(t, append([]string{"explain", "--admin", at}, args...)...)
		if code != 0 || stderr != "" {
			t.Errorf("%q: exit code %d, standard error %q", args, code, stderr)
		}
		for _, part := range want {
			if !strings.Contains(stdout, part) {
				t.Errorf("%q: %q is not there:\n%s", args, part, stdout)
			}
		}
	}
	send(trace, "cart/7?token=secret", "")
	explain([]string{"GET /cart/7?token=", "  trace: " + trace + "\n", "  route: cart\n", "  outcome: 200\n", "of cluster web, asked for /7: 200\n",
		"Route 2 (cart) of listener ingress takes it.\n", "    + x-envoy-original-path: ", "the request took this route\n"}, "--hop", trace)
	if stdout, _, _ := hopscope(t, "explain", "--admin", at, "--hop", trace, "--json"); strings.Contains(stdout, "secret") || !strings.Contains(stdout, `"name": "cart"`) {
		t.Errorf("JSON %s", stdout)
	}

	const other = "4bf92f3577b34da6a3ce929d0e0e4737"
	send(other, "cart/7", "beta")
	explain([]string{"the request took route beta, and what is recorded of it leads to route cart"}, "--hop", other)
	explain([]string{"Route 1 (beta) of listener ingress takes it.\n", "the request took this route\n"}, "--hop", other, "-H", "x-user-group: beta")

	if _, stderr, code := hopscope(t, "explain", "--admin", at, "--hop", strings.Repeat("ab", 16)); code != 1 || !strings.Contains(stderr, "no proxy that answered has trace abab") {
		t.Errorf("exit code %d, standard error %q", code, stderr)
	}
	if _, stderr, code := hopscope(t, "explain", "--hop", "7"); code != 1 || !strings.Contains(stderr, "--help shows how it is used") {
		t.Errorf("exit code %d, standard error %q", code, stderr)
	}
}
