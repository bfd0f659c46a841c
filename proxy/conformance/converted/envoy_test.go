package converted_test

import (
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/convert"
)

// envoyRuns runs an example on Envoy and on hopscope, and returns their addresses.
func envoyRuns(t *testing.T, path, listener string, endpoints map[string]string, fields []string) (original, ours string) {
	t.Helper()
	return envoyPair(t, path, example(t, path, endpoints, fields), listener)
}

// envoyPair runs a bootstrap on Envoy and on hopscope. name stands for its file.
func envoyPair(t *testing.T, name, text, listener string) (original, ours string) {
	t.Helper()
	var bootstrap struct {
		Static map[string]any `yaml:"static_resources"`
	}
	if err := yaml.Unmarshal([]byte(text), &bootstrap); err != nil {
		t.Fatal(err)
	}
	for _, l := range bootstrap.Static["listeners"].([]any) {
		address := l.(map[string]any)["address"].(map[string]any)["socket_address"].(map[string]any)
		address["address"], address["port_value"] = "127.0.0.1", 0
	}
	r, err := convert.Envoy(name, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return backends.Envoy(t, bootstrap.Static).Addr(listener), converted(t, r, listener)
}

func TestEnvoyRoutes(t *testing.T) {
	original, ours := envoyRuns(t, "envoy/routes.in", "web", map[string]string{"3001": "a", "3002": "b"}, []string{"x-envoy-original-path", "x-set", "x-add", "x-secret", "x-wide"})
	hosts := []string{"api.test", "x.api.test", "API.test:8080", "www.foo", "www.api.test", "a-cdn.test", "A-cdn.test:80", "other.test", "nowhere", "test"}
	targets := []string{
		"/", "/health", "/health?x=1", "/healthy", "/CaSed", "/cased/", "/pre", "/PRE/x?y=1", "/prefix", "/users/7", "/users/7/", "/users/x", "/cart", "/cart/7?a=b", "/carts",
		"/items/1/parts/2?q=3", "/items/1/parts", "/old", "/old/x?y=1", "/older", "/secure/a?b=c", "/re/1", "/re/1?x=y", "/h", "/h/x", "/q", "/q?v=2&debug", "/q?debug=1&v=2", "/q?v=3&v=2&debug",
		"/shop.Cart/Add", "/none", "/only", "/field/x", "/weighted", "/named", "/%61", "/a//b", "/h/../x",
	}
	fields := []map[string]string{
		nil, {"x-exact": "beta", "x-prefix": "ab", "x-range": "10"}, {"x-exact": "BETA", "x-prefix": "a", "x-range": "20"}, {"x-not": "a"}, {"x-not": "b"}, {"x-there": ""},
		{"x-there": "1", "x-not-missing": "a"}, {"x-there": "1", "x-not-missing": "c"}, {"x-old": "b"}, {"x-old": "c"}, {"x-old": "a", "x-absent": "1"}, {"x-host": "field.test"}, {"x-cluster": "b", "x-set": "client", "x-add": "client", "x-secret": "s"}, {"x-cluster": "c"},
	}
	changedFields := []string{"x-proxy", "x-endpoint"}
	same(t, original, ours, product(hosts, targets, fields[:1], "GET", "POST", "HEAD"), changedFields)
	same(t, original, ours, product([]string{"api.test", "other.test"}, targets, fields[1:], "GET", "POST"), changedFields)
	call := request{"POST", "api.test", "/shop.Cart/Add", map[string]string{"content-type": "application/grpc"}}
	same(t, original, ours, []request{call}, nil)
}

func TestEnvoyFilters(t *testing.T) {
	original, ours := envoyRuns(t, "envoy/filters.in", "web", map[string]string{"3001": "a"}, nil)
	targets := []string{"/", "/ready", "/broken", "/big"}
	fields := []map[string]string{
		nil, {"origin": "https://shop.test"}, {"origin": "https://www.shop.test"}, {"origin": "https://evil.test"},
		{"origin": "https://shop.test", "access-control-request-method": "PUT"},
	}
	same(t, original, ours, product([]string{"web.test"}, targets, fields, "GET", "OPTIONS"), []string{
		"access-control-allow-origin", "access-control-allow-methods", "access-control-allow-headers", "access-control-max-age", "access-control-allow-credentials",
	})
}

// TestEnvoyRedirects has an endpoint that redirects: to another route, and to one whose
// endpoint redirects as well.
func TestEnvoyRedirects(t *testing.T) {
	original, ours := envoyRuns(t, "envoy/redirects.in", "web", map[string]string{"3001": "a", "3002": "b"}, []string{"x-token"})
	targets := []string{"/followed", "/other", "/off"}
	for _, code := range []string{"301", "302", "303", "307"} {
		for _, from := range []string{"/followed", "/other", "/off", "/"} {
			targets = append(targets, from+"?code="+code+"&to=http://web.test/there", from+"?code="+code+"&to=http://web.test/other?code=303%26to=http://web.test/x?y")
		}
	}
	same(t, original, ours, product([]string{"web.test"}, targets, []map[string]string{nil}, "GET", "HEAD"), nil)
}
