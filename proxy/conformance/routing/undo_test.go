package routing_test

import (
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// What an endpoint says of itself is taken back, and what it says of others is left alone.
func TestLocationIsTakenBack(t *testing.T) {
	const routes = `
- {match: {path_prefix: /cart/}, cluster: a, rewrite: {path_prefix: /, host: cart.internal, location: true}}
- {match: {path_segments: /shop}, cluster: a, rewrite: {path_prefix: /v2, host: endpoint, location: true}}
- {match: {path_regex: "/re.*"}, cluster: a, rewrite: {path_prefix: /x, location: true}}
- {match: {hosts: [new.test]}, cluster: a, rewrite: {path_prefix: /api, location: true}}
- {cluster: a, rewrite: {host: cart.internal}}
`
	tests := []struct{ asked, location, want string }{
		{"http://web.test:8080/cart/7", "/x?a=/b#c", "/cart/x?a=/b#c"},
		{"http://web.test:8080/cart/7", "http://cart.internal/x", "http://web.test:8080/cart/x"},
		{"http://web.test:8080/cart/7", "http://CART.internal:80?q", "http://web.test:8080/cart/?q"},
		{"http://web.test:8080/cart/7", "//cart.internal/x", "http://web.test:8080/cart/x"},
		{"http://web.test:8080/cart/7", "http://ENDPOINT/x", "http://web.test:8080/cart/x"},
		{"http://web.test:8080/cart/7", "http://cart.internal:81/x", "http://cart.internal:81/x"},
		{"http://web.test:8080/cart/7", "https://other.test/x", "https://other.test/x"},
		{"http://web.test:8080/cart/7", "mailto:a@cart.internal", "mailto:a@cart.internal"},
		{"http://web.test:8080/cart/7", "../x", "../x"},
		{"http://web.test/shop/7", "/v2/x", "/shop/x"},
		{"http://web.test/shop/7", "/v2?a", "/shop?a"},
		{"http://web.test/shop/7", "/v2x", "/v2x"},
		{"http://web.test/shop/7", "/x", "/x"},
		{"http://web.test/shop/7", "http://ENDPOINT/v2", "http://web.test/shop"},
		{"http://web.test/re", "/x/y", "/x/y"}, // a whole path was replaced
		{"http://new.test/a", "/api", "/"},
		{"http://web.test/other", "http://cart.internal/x", "http://cart.internal/x"}, // nobody asked for it
	}
	eachKind(t, func(t *testing.T, k kind) {
		x := k.start(t, routes)
		for _, tt := range tests {
			endpoint := x.endpoints["a"]
			a := x.ask(t, "GET "+tt.asked, "X-Answer-Location: "+strings.ReplaceAll(tt.location, "ENDPOINT", endpoint))
			proxytest.Same(t, tt.asked+" with "+tt.location, a.Header.Get("Location"), tt.want)
		}
	})
}

func TestCookiesAreTakenBack(t *testing.T) {
	tests := []struct{ host, cookie, want string }{
		{"web.test", "a=b; Path=/; HttpOnly", "a=b; Path=/cart/; HttpOnly"},
		{"web.test", "a=b; path=/x;domain=.cart.internal; Secure", "a=b; Path=/cart/x; Domain=web.test; Secure"},
		{"web.test:8080", "a=b; Domain=CART.internal", "a=b; Domain=web.test"},
		{"web.test", "a=b; Domain=other.test; Max-Age=1", "a=b; Domain=other.test; Max-Age=1"},
		{"127.0.0.1", "a=b; Domain=cart.internal; Path=/", "a=b; Path=/cart/"},
		{"localhost", "a=b; Domain=cart.internal", "a=b"},
		{"web.test", "__Host-a=b; Path=/; Secure", "__Host-a=b; Path=/; Secure"},
		{"web.test", "domain=cart.internal", "domain=cart.internal"}, // a cookie of that name
	}
	eachKind(t, func(t *testing.T, k kind) {
		x := k.start(t, "- {match: {path_prefix: /cart/}, cluster: a, rewrite: {path_prefix: /, host: cart.internal, cookies: true}}")
		for _, tt := range tests {
			a := x.ask(t, "GET http://"+tt.host+"/cart/7", "X-Answer-Set-Cookie: "+tt.cookie, "X-Answer-Set-Cookie: c=d", "X-Answer-Location: /x")
			proxytest.Same(t, tt.cookie, strings.Join(a.Header["Set-Cookie"], "|"), tt.want+"|c=d")
			proxytest.Same(t, "location", a.Header.Get("Location"), "/x")
		}
	})
}
