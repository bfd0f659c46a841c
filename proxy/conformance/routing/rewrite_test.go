package routing_test

import (
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// A rewrite changes what the endpoint is asked for, and the endpoint is told of the path
// that the client asked for.
func TestRewrites(t *testing.T) {
	tests := []struct{ match, rewrite, asked, target, original string }{
		{"{path_prefix: /cart/}", "{path_prefix: /}", "/cart/7?a=b", "/7?a=b", "/cart/7?a=b"},
		{"{path_prefix: /cart}", "{path_prefix: /v1/cart}", "/cart", "/v1/cart", "/cart"},
		{"{path_segments: /cart}", "{path_prefix: /c}", "/cart/7", "/c/7", "/cart/7"},
		{"{path: /a}", "{path_prefix: /b}", "/a?x", "/b?x", "/a?x"},
		{"{path_regex: '/a.*'}", "{path_prefix: /b}", "/a/b/c", "/b", "/a/b/c"},
		{"{}", "{path_prefix: /v1}", "/a", "/v1/a", "/a"},
		{"{}", `{path_regex: '^/service/([^/]+)(/.*)$', substitution: '\2/instance/\1'}`, "/service/foo/v1/api?a", "/v1/api/instance/foo?a", "/service/foo/v1/api?a"},
		{"{}", "{path_regex: one, substitution: two}", "/one/one", "/two/two", "/one/one"},
		{"{}", "{path_regex: x, substitution: y}", "/a?b", "/a?b", "/a?b"},
		{"{path_template: '/cart/{id}/{rest=**}'}", "{path_template: '/{rest}/of/{id}'}", "/cart/7/a/b?c", "/a/b/of/7?c", "/cart/7/a/b?c"},
	}
	eachKind(t, func(t *testing.T, k kind) {
		for _, tt := range tests {
			x := k.start(t, "- {match: "+tt.match+", cluster: a, rewrite: "+tt.rewrite+"}")
			seen := x.ask(t, "GET http://web.test"+tt.asked, "X-Envoy-Original-Path: /forged").seen
			original := seen.Header.Get("X-Envoy-Original-Path")
			proxytest.Same(t, tt.rewrite+" of "+tt.asked, seen.Target, tt.target)
			proxytest.Same(t, tt.rewrite+": path of the client", original, tt.original)
			proxytest.Same(t, "host", seen.Host, "web.test")
		}
	})
}

func TestRewritesOfTheHost(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		x := k.start(t, "- {cluster: a, rewrite: {host: cart.internal}}")
		seen := x.ask(t, "GET http://web.test:81/", "X-Envoy-Original-Host: forged").seen
		proxytest.Same(t, "a name", seen.Host, "cart.internal")
		proxytest.Same(t, "host of the client", seen.Header.Get("X-Envoy-Original-Host"), "web.test:81")

		x = k.start(t, "- {cluster: a, rewrite: {host: endpoint}}")
		seen = x.ask(t, "GET http://web.test/").seen
		proxytest.Same(t, "host of the client", seen.Header.Get("X-Envoy-Original-Host"), "web.test")
		if host := seen.Host; host == "web.test" || host == "endpoint" || host == "" {
			t.Errorf("the host is %q, not the endpoint's address", host)
		}

		x = k.start(t, "- {cluster: a, rewrite: {host_from_header: x-host}}")
		proxytest.Same(t, "of a field", x.ask(t, "GET http://web.test/", "X-Host: tenant.test:81").seen.Host, "tenant.test:81")
		seen = x.ask(t, "GET http://web.test/").seen
		proxytest.Same(t, "without the field", seen.Host, "web.test")
		proxytest.Same(t, "host of the client, which stays", seen.Header.Get("X-Envoy-Original-Host"), "")
		proxytest.Same(t, "of a field that has no host", x.ask(t, "GET http://web.test/", "X-Host: a b").seen.Host, "web.test")
	})
}

// A rewritten request that is sent again asks for the same.
func TestRewritesAndRetries(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		x := k.start(t, "- {match: {path_prefix: /a}, cluster: a, rewrite: {path_prefix: /b/a}, retry: {on: [retriable-headers], headers: [x-again], attempts: 2}}")
		seen := x.ask(t, "GET http://web.test/a/c", "X-Answer-X-Again: 1").seen
		proxytest.Same(t, "attempt", seen.Header.Get("X-Envoy-Attempt-Count"), "2")
		proxytest.Same(t, "path", seen.Target, "/b/a/c")
		proxytest.Same(t, "path of the client", seen.Header.Get("X-Envoy-Original-Path"), "/a/c")
	})
}
