package paths

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/telemetry/hop"
)

var learning = &hop.Labels{Service: "shop", Route: "default", Cluster: "app", Learn: true}

// request is a hop of a path, and of how it ended.
func request(path string, status int) *hop.Hop {
	h := &hop.Hop{Labels: learning, Status: status}
	h.SetString(&h.Path, path)
	return h
}

func name(l *Learner, path string) string {
	h := request(path, 200)
	l.Observe(h)
	return h.Template
}

// TestName: what the segments of paths are taken for.
func TestName(t *testing.T) {
	l := New(100)
	for path, want := range map[string]string{
		"/":                                   "/",
		"/cart":                               "/cart",
		"/cart/":                              "/cart/",
		"/product/OLJCESPC7Z":                 "/product/{id}",
		"/product/66VCHSJNUP":                 "/product/{id}",
		"/users/42":                           "/users/{id}",
		"/users/42/orders/7":                  "/users/{id}/orders/{id}",
		"/day/2026-03-04":                     "/day/{id}",
		"/api/v2/items":                       "/api/v2/items",
		"/static/main.3f9c2a1b7d.js":          "/static/main.3f9c2a1b7d.js",
		"/o/4bf92f3577b34da6a3ce929d0e0e4736": "/o/{id}",
		"/o/123e4567-e89b-12d3-a456-426614174000": "/o/{id}",
		"/c/cus4f9z2kq":                "/c/{id}",
		"/c/a%20b":                     "/c/{id}",
		"/users/me@shop.test":          "/users/{id}",
		"/HEALTH":                      "/HEALTH",
		"/getSupportedCurrencies":      "/getSupportedCurrencies",
		"/a/b/c/d/e/f/g/h/i/j":         "/a/b/c/d/e/f/g/*",
		"/" + strings.Repeat("x", 100): "/{id}",
	} {
		for range 2 { // the second time from what was learned
			if got := name(l, path); got != want {
				t.Errorf("%s is %q, want %q", path, got, want)
			}
		}
	}
}

// TestManyValues: a segment of many values is a parameter, whatever they look like.
func TestManyValues(t *testing.T) {
	l := New(100)
	for i := range maxValues {
		user := string([]byte{'a' + byte(i), 'x'})
		if got := name(l, "/users/"+user+"/cart"); got != "/users/"+user+"/cart" {
			t.Fatalf("the user %s is %q", user, got)
		}
	}
	for _, user := range []string{"zoe", "ax", "bx"} {
		if got := name(l, "/users/"+user+"/cart"); got != "/users/{id}/cart" {
			t.Errorf("the user %s is %q", user, got)
		}
	}
	if s := l.services[key{service: "shop"}]; s.routes != s.paths.count() {
		t.Errorf("%d routes are counted, and there are %d", s.routes, s.paths.count())
	}
}

// TestRefusedIsNotLearned: nobody who looks for holes teaches routes.
func TestRefusedIsNotLearned(t *testing.T) {
	l := New(100)
	observe := func(path string, status int) string {
		h := request(path, status)
		l.Observe(h)
		return h.Template
	}
	for _, tt := range []struct {
		path   string
		status int
		want   string
	}{
		{"/wp-admin", 404, "other"},
		{"/cart", 200, "/cart"},
		{"/cart", 404, "/cart"},
		{"/cart/5", 404, "other"},
		{"/cart/5", 503, "/cart/{id}"}, // which is a route though it fails
		{"/cart/6", 404, "/cart/{id}"},
		{"/wp-admin", 404, "other"},
	} {
		if got := observe(tt.path, tt.status); got != tt.want {
			t.Errorf("%s with %d is %q, want %q", tt.path, tt.status, got, tt.want)
		}
	}
}

// TestCalls: a gRPC call is named after its method, unless that does not exist.
func TestCalls(t *testing.T) {
	l := New(2)
	call := func(path string, code int) string {
		h := request(path, 200)
		h.Method, h.GRPC, h.GRPCStatus = "POST", true, hop.GRPCStatusOf(code)
		l.Observe(h)
		return h.Template
	}
	for _, tt := range []struct {
		path string
		code int
		want string
	}{
		{"/shop.Cart/Guess", 12, "other"},
		{"/shop.Cart/Add", 0, "shop.Cart/Add"},
		{"/shop.Cart/Get", 14, "shop.Cart/Get"}, // nobody answered
		{"/shop.Cart/Remove", 0, "other"},       // there is no room
		{"/shop.Cart/Add", 12, "shop.Cart/Add"},
		{"/not a call", 0, "other"},
	} {
		if got := call(tt.path, tt.code); got != tt.want {
			t.Errorf("%s with %d is %q, want %q", tt.path, tt.code, got, tt.want)
		}
	}
}

// TestNamedByTheConfiguration: a route that has a name keeps it.
func TestNamedByTheConfiguration(t *testing.T) {
	l := New(100)
	named := *learning
	named.Learn = false
	for _, h := range []*hop.Hop{
		{Labels: &named}, {Labels: learning, Kind: hop.KindTunnel}, {Labels: learning, Kind: hop.KindConnection}, {Labels: learning},
	} {
		if h.Labels == &named || h.Kind != hop.KindRequest {
			h.SetString(&h.Path, "/cart")
		}
		if l.Observe(h); h.Template != "" {
			t.Errorf("kind %d has the template %q", h.Kind, h.Template)
		}
	}
}

// TestBounded: whatever clients send, there are only so many routes, and services.
func TestBounded(t *testing.T) {
	l := New(100)
	random := rand.New(rand.NewPCG(1, 2))
	names := map[string]bool{}
	for range 200_000 {
		var path strings.Builder
		for range 1 + random.IntN(12) {
			fmt.Fprintf(&path, "/%c%c", 'a'+random.IntN(26), 'a'+random.IntN(26))
		}
		names[name(l, path.String())] = true
	}
	if s := l.services[key{service: "shop"}]; s.routes > 100 || s.paths.count() != s.routes || len(names) > 301 {
		t.Errorf("%d routes are counted, there are %d, and there were %d names", s.routes, s.paths.count(), len(names))
	}
	for i := range 2 * maxServices {
		h := request("/cart", 200)
		h.Labels = &hop.Labels{Service: fmt.Sprint(i), Learn: true}
		l.Observe(h)
		if want := map[bool]string{true: "/cart", false: "other"}[i < maxServices-1]; h.Template != want {
			t.Fatalf("the route of service %d is %q, want %q", i, h.Template, want)
		}
	}
}

func FuzzName(f *testing.F) {
	f.Add("/product/OLJCESPC7Z", 200)
	f.Add("//a/%2f/./..", 500)
	f.Add("/", 404)
	l := New(50)
	f.Fuzz(func(t *testing.T, path string, status int) {
		h := request(path, status)
		l.Observe(h)
		if h.Template != "" && h.Template != hop.OtherRoute && (h.Template[0] != '/' || len(h.Template) > 8*(maxSegment+1)) {
			t.Errorf("%q is %q", path, h.Template)
		}
		again := request(path, status)
		if l.Observe(again); again.Template != h.Template && h.Template != hop.OtherRoute {
			t.Errorf("%q is %q, then %q", path, h.Template, again.Template)
		}
	})
}

func BenchmarkObserve(b *testing.B) {
	for _, bench := range []struct{ name, path string }{{"literal", "/api/cart/items"}, {"parameter", "/product/OLJCESPC7Z/reviews"}} {
		b.Run(bench.name, func(b *testing.B) {
			l, h := New(100), request(bench.path, 200)
			b.ReportAllocs()
			for b.Loop() {
				l.Observe(h)
			}
		})
	}
}
