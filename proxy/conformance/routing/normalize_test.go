package routing_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// tricks are other ways to write /admin and paths below it, and paths that look like one.
var tricks = []struct {
	path string
	form string // that is matched and goes out; "" for one that is refused
}{
	{"/admin", "/admin"},
	{"/admin/", "/admin/"},
	{"/admin/../x", "/x"},
	{"/x/../admin", "/admin"},
	{"/x/./../admin", "/admin"},
	{"/admin/.", "/admin/"},
	{"/admin/x/..", "/admin/"},
	{"/../admin", "/admin"},
	{"//admin", "/admin"},
	{"///admin//x", "/admin/x"},
	{"/.//admin", "/admin"},
	{"/./admin", "/admin"},
	{"/x//../admin", "/x/admin"},
	{"/%61dmin", "/admin"},
	{"/%61%64%6D%69%6e", "/admin"},
	{"/%2e%2e/admin", "/admin"},
	{"/x/%2e%2e/admin", "/admin"},
	{"/x/%2E./admin", "/admin"},
	{"/x/.%2e/admin", "/admin"},
	{"/%2e/admin", "/admin"},
	{`/\admin`, "/admin"},
	{`/x\..\admin`, "/admin"},
	{`/admin\x`, "/admin/x"},
	{"/admin%2f", ""},
	{"/admin%2Fx", ""},
	{"/x%2f..%2fadmin", ""},
	{"/x/..%5cadmin", ""},
	{"/x/..%2Fadmin", ""},
	{"/admin%00", ""},
	{"/x/..;/admin", ""},
	{"/x/..;a=b/admin", ""},
	{"/.;/admin", ""},
	// Once decoded, this is another path than /admin. What is decoded twice is up to the endpoint.
	{"/%2561dmin", "/%2561dmin"},
	{"/x%252f..%252fadmin", "/x%252f..%252fadmin"},
	// These are paths of their own: RFC 3986 sections 3.3 and 6.2.2.
	{"/admin;x", "/admin;x"},
	{"/admin%3bx", "/admin%3Bx"},
	{"/ADMIN", "/ADMIN"},
	{"/admin%20", "/admin%20"},
	{"/x/.../admin", "/x/.../admin"},
	{"/%c0%ae%c0%ae/admin", "/%C0%AE%C0%AE/admin"},
	{"/admin.", "/admin."},
}

// No other way to write a path leads past a route, whatever the route asks for, and the
// endpoint gets what was matched.
func TestPathsAreNormalized(t *testing.T) {
	admin := func(form string) bool { return form == "/admin" }
	below := func(form string) bool { return form == "/admin" || strings.HasPrefix(form, "/admin/") }
	begins := func(form string) bool { return strings.HasPrefix(form, "/admin") }
	tests := []struct {
		match string
		meets func(form string) bool
	}{
		{"path: /admin", admin},
		{"path_segments: /admin", below},
		{"path_prefix: /admin", begins},
		{"path_regex: '/admin'", admin},
		{"path_regex: '/admin.*'", begins},
		{"path_template: /admin", admin},
		{"path_template: '/admin/**'", func(form string) bool { return strings.HasPrefix(form, "/admin/") }},
		{"not: {path: /admin}", func(form string) bool { return !admin(form) }},
		{"not: {path_segments: /admin}", func(form string) bool { return !below(form) }},
		{"not: {path_prefix: /admin}", func(form string) bool { return !begins(form) }},
		{"not: {path_regex: '/admin'}", func(form string) bool { return !admin(form) }},
		{"not: {path_template: /admin}", func(form string) bool { return !admin(form) }},
		{"hosts: [web.test], headers: {x-a: {absent: true}}, methods: [GET, POST], path: /admin", admin},
	}
	eachKind(t, func(t *testing.T, k kind) {
		for _, tt := range tests {
			x := k.start(t, fmt.Sprintf("- {match: {%s}, cluster: a}\n- cluster: b", tt.match))
			for _, trick := range tricks {
				what := tt.match + ": " + trick.path
				a := x.askRaw(t, trick.path+"?q=/../%61")
				if trick.form == "" {
					x.refused(t, what, a)
					continue
				}
				want := "b"
				if tt.meets(trick.form) {
					want = "a"
				}
				proxytest.Same(t, what, a.seen.Cluster, want)
				proxytest.Same(t, what+" as it goes out", a.seen.Target, trick.form+"?q=/../%61")
			}
		}
	})
}

// refused checks that the proxy refused a path.
func (x *rig) refused(t *testing.T, what string, a answer) {
	t.Helper()
	proxytest.Same(t, what, a.seen.Cluster, "")
	if x.kind.grpc {
		proxytest.Same(t, what+": gRPC status", a.Header.Get("Grpc-Status"), "13") // INTERNAL
		return
	}
	proxytest.Same(t, what+": status", a.StatusCode, 400)
	if !strings.Contains(a.Header.Get("Proxy-Status"), "path_normalization_failed") {
		t.Errorf("%s: Proxy-Status is %q", what, a.Header.Get("Proxy-Status"))
	}
}

func TestServicesOfGRPCAreNormalized(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		if !k.grpc {
			return
		}
		x := k.start(t, "- {match: {grpc: {service: shop.Admin, method: Drop}}, cluster: a}\n- {match: {grpc: {service: shop.Admin}}, cluster: b}\n- cluster: c")
		for path, want := range map[string]string{
			"/shop.Admin/Drop": "a", "/shop.Admin/%44rop": "a", "/shop%2eAdmin/x/../Drop": "a", "//shop.Admin//Drop": "a",
			"/shop.Admin/./List": "b", "/shop.%41dmin/List": "b", "/shop.Cart/Add": "c",
		} {
			proxytest.Same(t, path, x.askRaw(t, path).seen.Cluster, want)
		}
	})
}

// The target in origin form, which net/http's client does not write for these.
func TestTargetsInOriginForm(t *testing.T) {
	proxytest.NoLeaks(t)
	x := kinds[0].start(t, "- {match: {path: /admin}, cluster: a}\n- cluster: b")
	for _, trick := range tricks {
		r := proxytest.Ask(t, x.Ingress(), "GET "+trick.path+"?q HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n")
		switch seen := r.Header.Get("X-Seen"); {
		case trick.form == "":
			proxytest.Same(t, trick.path, r.StatusCode, 400)
		case !strings.Contains(seen, `"Target":"`+trick.form+`?q"`), strings.Contains(seen, `"Cluster":"a"`) != (trick.form == "/admin"):
			t.Errorf("%s went out as %s", trick.path, seen)
		}
	}
}

func TestEscapedSlashes(t *testing.T) {
	const routes = "- {match: {path: /admin/x}, cluster: a}\n- cluster: b"
	eachKind(t, func(t *testing.T, k kind) {
		x := k.start(t, routes, "path: {escaped_slashes: keep}")
		a := x.askRaw(t, "/%61dmin%2fx%5c")
		proxytest.Same(t, "keep", a.seen.Cluster+" "+a.seen.Target, "b /admin%2Fx%5C")

		x = k.start(t, routes, "path: {escaped_slashes: unescape}")
		a = x.askRaw(t, "/y%2f..%5cadmin%2F%2Fx?q=%2f")
		proxytest.Same(t, "unescape", a.seen.Cluster+" "+a.seen.Target, "a /admin/x?q=%2f")

		x = k.start(t, routes, "path: {escaped_slashes: redirect}")
		a = x.askRaw(t, "/y%2f../admin/x?q=%2f")
		if k.grpc {
			x.refused(t, "redirect", a)
		} else {
			proxytest.Same(t, "redirect", a.Status[:3]+" "+a.Header.Get("Location"), "307 http://web.test/admin/x?q=%2f")
		}
		proxytest.Same(t, "nothing escaped", x.askRaw(t, "/admin//x").seen.Target, "/admin/x")
	})
}

// A redirect to the normal form can't lead to another host.
func TestRedirectToTheNormalFormStays(t *testing.T) {
	proxytest.NoLeaks(t)
	x := kinds[0].start(t, "- cluster: a", "path: {escaped_slashes: redirect, merge_slashes: false}")
	r := proxytest.Ask(t, x.Ingress(), "GET /%2Fevil.test/a HTTP/1.0\r\n\r\n")
	proxytest.Same(t, "location", r.Header.Get("Location"), "/.//evil.test/a")
}

// What is turned off is left alone.
func TestPathsAsTheyCame(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		x := k.start(t, "- {match: {path: /admin}, cluster: a}\n- cluster: b", "path: {normalize: false, merge_slashes: false, escaped_slashes: keep}")
		for _, trick := range tricks[1:] {
			a := x.askRaw(t, trick.path)
			proxytest.Same(t, trick.path, a.seen.Cluster+" "+a.seen.Target, "b "+trick.path)
		}
		x = k.start(t, "- {match: {path: /x//%61}, cluster: a}\n- cluster: b", "path: {normalize: false, merge_slashes: false}")
		proxytest.Same(t, "a route on it", x.askRaw(t, "/x//%61").seen.Cluster, "a")
	})
}

// The listener of the service's own calls leaves alone what may mean something elsewhere.
func TestPathsOfOutboundListeners(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		x := k.start(t, "- {match: {path: /admin}, cluster: a}\n- cluster: b", "direction: outbound")
		proxytest.Same(t, "normalized", x.askRaw(t, "/x/../%61dmin").seen.Cluster, "a")
		proxytest.Same(t, "slashes", x.askRaw(t, "/vhosts/%2f//x").seen.Target, "/vhosts/%2F//x")
	})
}
