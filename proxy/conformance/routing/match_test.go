package routing_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// Each condition, and its inversion in the "not" of a match, with requests that meet it and
// that do not.
func TestConditions(t *testing.T) {
	type request struct {
		line   string
		fields []string
		meets  bool
	}
	to := func(meets bool, path string, fields ...string) request {
		return request{"GET http://web.test" + path, fields, meets}
	}
	tests := []struct {
		match    string
		requests []request
	}{
		{"path: /a", []request{to(true, "/a"), to(true, "/a?b"), to(false, "/a/"), to(false, "/A")}},
		{"path_prefix: /a", []request{to(true, "/a"), to(true, "/ab"), to(false, "/b")}},
		{"path_segments: /a", []request{to(true, "/a"), to(true, "/a/b"), to(true, "/a?b"), to(false, "/ab"), to(false, "/")}},
		{"path_regex: '/(a|ab)/[0-9]+'", []request{to(true, "/ab/12"), to(true, "/a/1?x=y"), to(false, "/ab/12x"), to(false, "/x/ab/1")}},
		{"path_template: '/cart/{id}/items'", []request{to(true, "/cart/7/items"), to(false, "/cart/7/8/items"), to(false, "/cart//items")}},
		{"hosts: [web.test]", []request{to(true, "/"), {"GET http://other.test/", nil, false}}},
		{"headers: {x-a: {exact: beta}}", []request{to(true, "/", "X-A: beta"), to(false, "/", "X-A: Beta"), to(false, "/", "X-A: beta2"), to(false, "/")}},
		{"headers: {x-a: {exact: BETA, ignore_case: true}}", []request{to(true, "/", "X-A: beta"), to(false, "/", "X-A: betas")}},
		{"headers: {X-A: {prefix: be}}", []request{to(true, "/", "X-A: beta"), to(false, "/", "X-A: abe")}},
		{"headers: {x-a: {suffix: ta}}", []request{to(true, "/", "X-A: beta"), to(false, "/", "X-A: tab")}},
		{"headers: {x-a: {contains: et}}", []request{to(true, "/", "X-A: beta"), to(false, "/", "X-A: bat")}},
		{"headers: {x-a: {regex: 'curl/.*'}}", []request{to(true, "/", "X-A: curl/8"), to(false, "/", "X-A: my curl/8")}},
		{"headers: {x-a: {range: [100, 200]}}", []request{
			to(true, "/", "X-A: 100"), to(true, "/", "X-A: 199"), to(false, "/", "X-A: 200"), to(false, "/", "X-A: 99"), to(false, "/", "X-A: many"),
		}},
		{"headers: {x-a: {present: true}}", []request{to(true, "/", "X-A: "), to(false, "/")}},
		{"headers: {x-a: {absent: true}}", []request{to(true, "/"), to(false, "/", "X-A: b")}},
		{"headers: {x-a: {not: {exact: b}}}", []request{to(true, "/", "X-A: c"), to(false, "/", "X-A: b"), to(false, "/")}},
		{"headers: {x-a: {exact: 'b,c'}}", []request{to(true, "/", "X-A: b", "X-A: c"), to(false, "/", "X-A: b")}},
		{"headers: {user-agent: {prefix: curl}}", []request{to(true, "/", "User-Agent: curl/8"), to(false, "/", "User-Agent: wget")}},
		{"headers: {host: {exact: web.test}}", []request{to(true, "/"), {"GET http://other.test/", nil, false}}},
		{"query: {v: {exact: '2'}}", []request{to(true, "/?v=2"), to(true, "/?a&v=2&v=3"), to(false, "/?v=3&v=2"), to(false, "/?vv=2"), to(false, "/")}},
		{"query: {v: {present: true}}", []request{to(true, "/?v"), to(true, "/?v="), to(false, "/?w"), to(false, "/")}},
		{"cookies: {group: {prefix: b}}", []request{to(true, "/", "Cookie: a=c; group=beta"), to(true, "/", `Cookie: group="beta"`), to(false, "/", "Cookie: agroup=beta"), to(false, "/")}},
		{"clients: [127.0.0.0/8]", []request{to(true, "/")}},
		{"clients: [10.0.0.0/8]", []request{to(false, "/")}},
		{"percent: 0", []request{to(false, "/")}},
		{"percent: 100", []request{to(true, "/")}},
		{"path_prefix: /a, headers: {x-a: {exact: b}, x-b: {present: true}}", []request{
			to(true, "/a", "X-A: b", "X-B: c"), to(false, "/a", "X-A: b"), to(false, "/a", "X-B: c"), to(false, "/b", "X-A: b", "X-B: c"),
		}},
	}
	eachKind(t, func(t *testing.T, k kind) {
		for _, tt := range tests {
			x := k.start(t, fmt.Sprintf("- {match: {%s}, cluster: a}\n- cluster: b", tt.match))
			for _, r := range tt.requests {
				want := "b"
				if r.meets {
					want = "a"
				}
				proxytest.Same(t, fmt.Sprintf("%s: %s %q", tt.match, r.line, r.fields), x.cluster(t, r.line, r.fields...), want)
			}
		}
	})
}

// None of the conditions of "not" may hold.
func TestInvertedConditions(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		x := k.start(t, `
- match: {path_prefix: /a, not: {path: /a/x, path_regex: "/a/[0-9]+", path_template: "/a/{b}/c", hosts: ["*.no.test"], headers: {x-a: {exact: b}}, query: {q: {present: true}}, cookies: {c: {exact: "1"}}, clients: [10.0.0.0/8]}}
  cluster: a
- cluster: b
`)
		for line, want := range map[string]string{
			"/a": "a", "/a/y": "a", "/b": "b", "/a/x": "b", "/a/12": "b", "/a/z/c": "b", "/a?q=": "b",
		} {
			proxytest.Same(t, line, x.cluster(t, "GET http://web.test"+line), want)
		}
		proxytest.Same(t, "a host that is not meant", x.cluster(t, "GET http://www.no.test/a"), "b")
		proxytest.Same(t, "a field that is not meant", x.cluster(t, "GET http://web.test/a", "X-A: b"), "b")
		proxytest.Same(t, "another field", x.cluster(t, "GET http://web.test/a", "X-A: c"), "a")
		proxytest.Same(t, "a cookie that is not meant", x.cluster(t, "GET http://web.test/a", "Cookie: c=1"), "b")
	})
}

func TestMatchesOfGRPC(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		x := k.start(t, `
- {match: {grpc: {service: shop.Cart, method: Add}}, cluster: a}
- {match: {grpc: {service: shop.Cart}}, cluster: b}
- {match: {grpc: true}, cluster: c}
`)
		for path, want := range map[string]string{"/shop.Cart/Add": "a", "/shop.Cart/Remove": "b", "/shop.Carts/Add": "c", "/": "c"} {
			if !k.grpc {
				want = ""
			}
			proxytest.Same(t, path, x.cluster(t, "GET http://web.test"+path), want)
		}
	})
}

// A share of the requests matches by chance, and the rest goes on.
func TestPercent(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		x := k.start(t, "- {match: {percent: 50}, cluster: a}\n- cluster: b")
		where := map[string]int{}
		for range 200 { // that one of them has none: 2^-199
			where[x.cluster(t, "GET http://web.test/")]++
		}
		if where["a"] == 0 || where["b"] == 0 || where["a"]+where["b"] != 200 {
			t.Errorf("requests went to %v", where)
		}
	})
}

// Behind a proxy that is trusted, the client is whom that says.
func TestClientsBehindAProxy(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		x := k.start(t, "- {match: {clients: [10.0.0.0/8]}, cluster: a}\n- cluster: b", "forwarded: {trusted_proxies: 1}")
		proxytest.Same(t, "of the network", x.cluster(t, "GET http://web.test/", "X-Forwarded-For: 10.1.2.3"), "a")
		proxytest.Same(t, "of another", x.cluster(t, "GET http://web.test/", "X-Forwarded-For: 192.0.2.1"), "b")
	})
}

// Clients are told apart by what their certificates say.
func TestIdentities(t *testing.T) {
	for _, side := range proxytest.Sides[2:] {
		t.Run(side.Name, func(t *testing.T) {
			proxytest.NoLeaks(t)
			ca := proxytest.NewAuthority(t)
			endpoints := map[string]string{}
			for _, name := range []string{"web", "other"} {
				endpoints[name] = proxytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Cluster", name) })
			}
			p := proxytest.Start(t, endpoints["web"], func(s *proxytest.Settings) {
				proxytest.ListenTLS(&s.Listener, ca.Issue("web.test"))
				s.Listener.TLS.ClientAuth, s.Listener.TLS.ClientCA = "request", ca.File
				s.Route.Match.Identities = []string{"spiffe://mesh/ns/web/*", "ops.test"}
				s.Config.Clusters["other"] = config.NewCluster(endpoints["other"])
				s.Egress.Routes = nil
				first, last := s.Route, config.NewRoute("other")
				s.Listener.Routes, s.Route = []config.Route{first}, last
			})
			for name, want := range map[string]string{
				"spiffe://mesh/ns/web/shop": "web", "spiffe://mesh/ns/webs/shop": "other", "ops.test": "web", "dev.test": "other", "": "other",
			} {
				c := ca.ClientConfig("web.test")
				if name != "" {
					c = ca.ClientConfig("web.test", ca.Issue(name))
				}
				transport := &http.Transport{TLSClientConfig: c, Protocols: side.Protocols()}
				r, _ := http.NewRequestWithContext(t.Context(), "GET", "https://"+p.Ingress(), nil)
				resp, err := (&http.Client{Transport: transport, Timeout: proxytest.Patience}).Do(r)
				if err != nil {
					t.Fatal(err)
				}
				proxytest.Finish(resp)
				transport.CloseIdleConnections()
				proxytest.Same(t, fmt.Sprintf("%q", name), resp.Header.Get("X-Cluster"), want)
			}
		})
	}
}
