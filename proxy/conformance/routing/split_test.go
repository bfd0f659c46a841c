package routing_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// counts are how many of n requests go to each cluster.
func (x *rig) counts(t *testing.T, n int, fields ...string) map[string]int {
	t.Helper()
	all := map[string]int{}
	for range n {
		all[x.cluster(t, "GET http://web.test/", fields...)]++
	}
	return all
}

// A split divides requests by the weights of its targets.
func TestSplit(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		x := k.start(t, "- split: [{cluster: a, weight: 50}, {cluster: b, weight: 50}, {cluster: c, weight: 0}]")
		all := x.counts(t, 200) // that one of them has none: 2^-199
		if all["a"] == 0 || all["b"] == 0 || all["a"]+all["b"] != 200 {
			t.Errorf("requests went to %v", all)
		}
	})
}

// A client stays at its target, by what the route says: a field, its address, or a cookie
// that it is given.
func TestSticky(t *testing.T) {
	const split = "- {split: [{cluster: a}, {cluster: b}, {cluster: c}], sticky: {%s}}"
	eachKind(t, func(t *testing.T, k kind) {
		x := k.start(t, fmt.Sprintf(split, "header: x-user"))
		reached := map[string]bool{}
		for user := range 60 { // that they leave one out: 3 * (2/3)^60
			all := x.counts(t, 3, fmt.Sprintf("X-User: %d", user))
			for cluster, n := range all {
				proxytest.Same(t, fmt.Sprintf("requests of user %d to %s", user, cluster), n, 3)
				reached[cluster] = true
			}
		}
		proxytest.Same(t, "clusters", len(reached), 3)
		if all := x.counts(t, 200); len(all) != 3 {
			t.Errorf("requests without the field went to %v", all)
		}

		x = k.start(t, fmt.Sprintf(split, "source: true"))
		proxytest.Same(t, "clusters of a client", len(x.counts(t, 50)), 1)

		x = k.start(t, fmt.Sprintf(split, "cookie: {name: variant, ttl: 1h, path: /shop}"))
		for range 20 {
			first := x.ask(t, "GET http://web.test/", "Cookie: other=1")
			given := first.Header.Get("Set-Cookie")
			cookie, attributes, _ := strings.Cut(given, "; ")
			if !strings.HasPrefix(cookie, "variant=") || attributes != "Max-Age=3600; Path=/shop; HttpOnly" {
				t.Fatalf("the client was given the cookie %q", given)
			}
			for range 5 {
				again := x.ask(t, "GET http://web.test/", "Cookie: other=1; "+cookie)
				proxytest.Same(t, "cluster", again.seen.Cluster, first.seen.Cluster)
				proxytest.Same(t, "a second cookie", again.Header.Get("Set-Cookie"), "")
			}
		}
	})
}

// The policies of a split's targets are those of their own clusters, and each view of a
// hop names the variant.
func TestVariantInEveryView(t *testing.T) {
	proxytest.NoLeaks(t)
	endpoint := proxytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {})
	p := proxytest.StartWithViews(t, endpoint, func(s *proxytest.Settings) {
		s.Route.Name, s.Route.Cluster = "cart", ""
		s.Route.Split = []config.SplitTarget{{Cluster: "web", Weight: 1, Variant: "blue"}, {Cluster: "web", Weight: 0, Variant: "green"}}
	})
	resp, err := http.Get("http://" + p.Ingress())
	if err != nil {
		t.Fatal(err)
	}
	proxytest.Finish(resp)
	http.DefaultClient.CloseIdleConnections()
	h := p.LatestHop(1)
	proxytest.Same(t, "hop: variant", h.Labels.Variant, "blue")
	proxytest.Same(t, "hop: cluster", h.Labels.Cluster, "web")
	v := p.End(1)
	proxytest.Same(t, "line: variant", v.Lines[0].Text("variant"), "blue")
	proxytest.Same(t, "line: cluster", v.Lines[0].Text("cluster"), "web")
	proxytest.Same(t, "span: variant", v.Hops()[0].Attributes["hopscope.variant"], "blue")
	proxytest.Same(t, "metrics: requests", v.Metrics.Sum("hopscope_requests_total", "route", "cart", "cluster", "web"), 1)
}

// A reload that changes a weight moves the clients that this asks for, and no others.
func TestStickyAndReloads(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		x := k.start(t, "- {split: [{cluster: a, weight: 60}, {cluster: b, weight: 40}, {cluster: c, weight: 0}], sticky: {header: x-user}}")
		where := func() (all [100]string) {
			for i := range all {
				all[i] = x.cluster(t, "GET http://web.test/", fmt.Sprintf("X-User: %d", i))
			}
			return all
		}
		weigh := func(weight int) {
			c := *x.Config()
			c.Listeners = slices.Clone(c.Listeners)
			l := &c.Listeners[0]
			l.Routes = slices.Clone(l.Routes)
			l.Routes[0].Split = slices.Clone(l.Routes[0].Split)
			l.Routes[0].Split[2].Weight = weight
			x.MustReload(&c)
		}
		before := where()
		weigh(100)
		moved := 0
		for i, cluster := range where() {
			if cluster != before[i] {
				moved++
				proxytest.Same(t, fmt.Sprintf("client %d of cluster %s", i, before[i]), cluster, "c")
			}
		}
		if moved < 30 || moved > 70 { // half of them; which ones does not depend on chance
			t.Errorf("%d of 100 clients moved", moved)
		}
		weigh(0)
		proxytest.Same(t, "clients are where they were", where(), before)
	})
}

// A field of the request names its cluster, if the route allows that.
func TestClusterHeader(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		x := k.start(t, "- {name: any, cluster_header: X-Cluster, allow_clusters: [a, b]}")
		for _, name := range []string{"a", "b"} {
			proxytest.Same(t, "cluster", x.cluster(t, "GET http://web.test/", "X-Cluster: "+name), name)
		}
		for what, fields := range map[string][]string{"one that is not allowed": {"X-Cluster: c"}, "one that does not exist": {"X-Cluster: d"}, "none": nil} {
			status := x.ask(t, "GET http://web.test/", fields...).Header.Get("Proxy-Status")
			if !strings.Contains(status, "cluster_not_found") {
				t.Errorf("%s: Proxy-Status %q", what, status)
			}
			if !k.grpc {
				proxytest.Same(t, what+": status", x.ask(t, "GET http://web.test/", fields...).StatusCode, 503)
			}
		}
	})
}
