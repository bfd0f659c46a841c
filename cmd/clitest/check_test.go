package clitest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const checkedRoutes = `listeners:
  - name: edge
    address: 127.0.0.1:8080
    routes:
      - {name: beta, match: {path_prefix: /cart/, headers: {x-user-group: {exact: beta}}}, cluster: beta}
      - {name: cart, match: {path_prefix: /cart/}, cluster: web, rewrite: {path_prefix: /, host: cart.internal}}
      - {name: old, match: {path: /old}, redirect: {path: /new}}
      - {name: late, match: {path: /cart/late, methods: [GET]}, cluster: web}
      - {name: none, match: {path_prefix: /none, percent: 0}, cluster: web}
clusters:
  web: {endpoints: ["127.0.0.1:3000"]}
  beta: {endpoints: ["127.0.0.1:3001"]}
`

// files writes files into a directory of its own, and returns their paths.
func files(t *testing.T, contents ...string) (paths []string) {
	t.Helper()
	dir := t.TempDir()
	for i, content := range contents {
		path := filepath.Join(dir, string(rune('a'+i))+".yaml")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func TestCheckNamesUnreachableRoutes(t *testing.T) {
	t.Parallel()
	file := files(t, checkedRoutes)[0]
	stdout, stderr, code := hopscope(t, "check", "-c", file)
	if want := file + ": ok\n"; code != 0 || stdout != want {
		t.Errorf("exit code %d, standard output %q, want %q", code, stdout, want)
	}
	want := file + ": listener edge: route 4 (late) is never taken: route 2 (cart) before it takes all of its requests\n" +
		file + ": listener edge: route 5 (none) is never taken: no request meets all of its conditions\n"
	if stderr != want {
		t.Errorf("standard error\n%s\nwant\n%s", stderr, want)
	}
}

func TestCheckTestsRoutes(t *testing.T) {
	t.Parallel()
	paths := files(t, checkedRoutes, `tests:
  - request: GET https://shop.test/cart/7?a=b
    headers: {x-user-group: gamma}
    expect: {route: cart, cluster: web, target: /7?a=b, host: cart.internal, headers: {x-user-group: gamma, x-envoy-original-path: /cart/7?a=b}, absent: [x-debug]}
  - {request: /cart/7, headers: {x-user-group: beta}, expect: {route: beta, target: /cart/7}}
  - {request: POST /nowhere, expect: {no_route: true, status: 404}}
  - {request: http://shop.test/old, expect: {status: 301, location: http://shop.test/new}}
`, `tests:
  - {name: beta goes on, request: /cart/7, headers: {x-user-group: gamma}, expect: {route: beta, cluster: beta, host: shop.test, status: 200}}
  - {request: /cart/7, expect: {target: /8, headers: {via: "2"}, absent: [x-request-id], location: /a}}
  - {request: /old, expect: {no_route: true, cluster: web}}
  - {request: old, expect: {route: old}}
`, "tests:\n  - {request: GET /a b, expect: {}}\n  - {reqest: /}\n")
	stdout, stderr, code := hopscope(t, "check", "-c", paths[0], "--tests", paths[1])
	want := "routes of listener edge that no test takes: 4 (late), 5 (none)\n3 of 5 routes are tested (60 %)\n4 tests of routes passed\n" + paths[0] + ": ok\n"
	if code != 0 || stdout != want {
		t.Errorf("exit code %d, standard output\n%s\nwant\n%s\nstandard error %s", code, stdout, want, stderr)
	}
	if _, stderr, code := hopscope(t, "check", "-c", paths[0], "--tests", paths[1], "--all-routes"); code != 1 || !strings.Contains(stderr, "not every route is tested") {
		t.Errorf("exit code %d, standard error %q", code, stderr)
	}

	stdout, stderr, code = hopscope(t, "check", "-c", paths[0], "--tests", paths[2], "--tests", paths[1])
	if code != 1 || !strings.Contains(stderr, "4 of 8 tests of routes failed") {
		t.Errorf("exit code %d, standard error %q", code, stderr)
	}
	for _, want := range []string{
		`:2: beta goes on: expected route beta to take it, and route 2 (cart) does: beta does not, as it wants headers x-user-group exact beta; the request has "gamma"`,
		`:2: beta goes on: expected it to go to cluster beta, and it goes to web`,
		`:2: beta goes on: expected the proxy to answer 200, and it goes to web`,
		`:3: /cart/7: expected the endpoint to see the target "/8", and it sees "/7"`,
		`:3: /cart/7: expected the endpoint to see in via "2", and it sees "1.1 hopscope"`,
		`:3: /cart/7: expected the endpoint not to see x-request-id, and it sees "..."`,
		`:3: /cart/7: expected a redirect to /a, and it goes to web`,
		`:4: /old: expected no route to take it, and route 3 (old) does`,
		`:4: /old: expected it to go to cluster web, and the proxy answers 301`,
		`:5: old: url: expected http://host/path or a path such as /cart/7, found "old"`,
	} {
		if !strings.Contains(stdout, paths[2]+want+"\n") {
			t.Errorf("%q is not there:\n%s", want, stdout)
		}
	}

	_, stderr, code = hopscope(t, "check", "-c", paths[0], "--tests", paths[3])
	for _, want := range []string{
		`:2:15: tests[0].request: expected a method and a URL, found 3 words`,
		`:2:33: tests[0].expect: it expects nothing; expected one of the keys route, no_route, cluster`,
		`:3:6: tests[1].reqest: unknown key; did you mean "request"?`,
	} {
		if code != 1 || !strings.Contains(stderr, paths[3]+want) {
			t.Errorf("exit code %d, %q is not there:\n%s", code, want, stderr)
		}
	}
	if _, stderr, code := hopscope(t, "check", "-c", paths[0], "--all-routes"); code != 1 || !strings.Contains(stderr, "with --tests") {
		t.Errorf("exit code %d, standard error %q", code, stderr)
	}
}
