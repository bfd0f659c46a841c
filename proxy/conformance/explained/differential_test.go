package explained_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/explain"
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/proxy/snapshot"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// What is explained is what happens: for random tables and requests, the route that is
// explained is the one that the request took, and the head or the answer that is explained is
// the one that the endpoint, or the client, got. An explanation leaves no trace.
func TestWhatIsExplainedHappens(t *testing.T) {
	proxytest.NoLeaks(t)
	got := make(chan []string, 1)
	ends := endpoints(t, got)
	calls := map[string]int{} // by what became of them
	for seed := range uint64(7) {
		r := rand.New(rand.NewPCG(seed, 3))
		text := table(r, ends)
		p := proxytest.StartYAML(t, text)
		c, err := config.Parse("test.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		offline, err := snapshot.NewExplainer(c)
		if err != nil {
			t.Fatal(err)
		}
		sender := &client{p, p.Dial(), proxytest.DialHTTP2(t, p.Ingress())}
		for n := range 40 {
			asked := request(r)
			live := explained(t, p.Explain, asked)
			if before := explained(t, offline.Explain, asked); shown(t, before) != shown(t, live) {
				t.Fatalf("seed %d, request %d: by the file\n%s\nby the running proxy\n%s", seed, n, before.Text(true), live.Text(true))
			}
			response, took, head := sender.send(asked, got, n+1)
			if took.GRPC {
				calls[outcome(live)]++
			}
			if why := contradiction(live, took, response, head); why != "" {
				t.Fatalf("seed %d, request %d, %s\n%s\n%s", seed, n, why, live.Text(true), text)
			}
		}
		offline.Close()
		p.Stop()
	}
	if calls["forwarded"] < 20 || calls["answered"] < 20 {
		t.Errorf("the calls say too little: %v", calls)
	}
}

// outcome is what becomes of a request, in a word.
func outcome(e *explain.Explanation) string {
	if e.Answer != nil {
		return "answered"
	}
	return "forwarded"
}

func explained(t *testing.T, by func(explain.Request) (*explain.Explanation, error), asked explain.Request) *explain.Explanation {
	t.Helper()
	e, err := by(asked)
	if err != nil {
		t.Fatalf("%+v: %v", asked, err)
	}
	return e
}

// shown is an explanation without what only a running proxy knows of its endpoints.
func shown(t *testing.T, e *explain.Explanation) string {
	t.Helper()
	text, err := json.MarshalIndent(e, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// contradiction says in what an explanation is not what happened, "" for nothing.
func contradiction(e *explain.Explanation, took *hop.Hop, response *http.Response, head []string) string {
	name := ""
	if e.Route != nil {
		name = e.Route.Name
	}
	switch {
	case took.Labels.Route != name:
		return fmt.Sprintf("the request took route %q, and %q is explained", took.Labels.Route, name)
	case (e.Answer == nil) != (head != nil):
		return fmt.Sprintf("the endpoint got %q, which is not what is explained", head)
	case e.Answer != nil && (e.Answer.Status != response.StatusCode || header(e.Answer.Headers, "location") != response.Header.Get("Location")):
		return fmt.Sprintf("the response is %d to %q, which is not explained", response.StatusCode, response.Header.Get("Location"))
	case e.Answer != nil && e.Answer.GRPCStatus != grpcStatus(response):
		return fmt.Sprintf("the response has grpc-status %s, which is not explained", grpcStatus(response))
	case e.Answer != nil:
		return ""
	}
	at := slices.IndexFunc(e.Targets, func(t explain.Target) bool { return t.Cluster == took.Labels.Cluster && t.Chance > 0 })
	if at < 0 {
		return fmt.Sprintf("the request went to cluster %s, which is not explained", took.Labels.Cluster)
	}
	sent := e.Targets[at].Sent
	if took.GRPC {
		sent, head = timeless(sent, took), timeless(head, took)
	}
	if len(sent) != len(head) {
		return fmt.Sprintf("the endpoint got\n%s\nwhich is not explained", strings.Join(head, "\n"))
	}
	for i := range head {
		name, _, _ := strings.Cut(head[i], ": ")
		timed := name == "x-envoy-expected-rq-timeout-ms" || name == "grpc-timeout" // the time that went by counts
		if sent[i] == name+": ..." || timed && strings.HasPrefix(sent[i], name+": ") {
			continue
		}
		if sent[i] != head[i] {
			return fmt.Sprintf("the endpoint got %q, and %q is explained", head[i], sent[i])
		}
	}
	return ""
}

// timeless is the head of a call without what depends on whether its content was there as a
// whole when it was sent: how that is framed, and, if it has content, the time that is left
// of the route's timeout, which does not run before.
func timeless(lines []string, took *hop.Hop) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
		switch name, _, _ := strings.Cut(line, ":"); strings.ToLower(name) {
		case "content-length", "transfer-encoding":
			return true
		case "grpc-timeout":
			return took.BytesIn > 0
		}
		return false
	})
}

// grpcStatus is the name of the gRPC status of a response, "" for none.
func grpcStatus(response *http.Response) string {
	n, err := strconv.Atoi(response.Header.Get("Grpc-Status"))
	if err != nil {
		return ""
	}
	return hop.GRPCStatusOf(n).String()
}

func header(lines []string, name string) string {
	for _, line := range lines {
		if rest, ok := strings.CutPrefix(line, name+": "); ok {
			return rest
		}
	}
	return ""
}

func one(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }

// table is a configuration of random routes.
func table(r *rand.Rand, ends map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "listeners:\n- name: ingress\n  address: %q\n  path: {normalize: true, merge_slashes: true, escaped_slashes: %s}\n  routes:\n", proxytest.OwnAddress(), one(r, "keep", "reject", "redirect"))
	for i := range 12 {
		match, rewrites := conditions(r)
		does := "cluster: web"
		switch r.IntN(9) {
		case 5:
			does = "split: [{cluster: web, weight: " + one(r, "0", "1") + "}, {cluster: beta, weight: 9}], sticky: {" + one(r, "header: x-a", "cookie: {name: c}", "source: true") + "}"
		case 7:
			does += ", request_headers: {set: {x-real-ip: '%CLIENT_IP%', x-a: b}, add: {via: x}, remove: [x-host, cookie]}"
		case 6:
			does = "cluster_header: x-a, allow_clusters: [web, beta]"
		case 0:
			does = "redirect: {host: other.test, code: 302}"
		case 1:
			does = "answer: {status: 204}"
		case 2:
			does += ", rewrite: {" + one(r, rewrites...) + "}"
		case 3:
			does += ", host: " + one(r, "endpoint", "cart.internal") + ", timeout: 3s"
		case 4:
			does += ", body: {max: 1KiB}, compress: {}, retry: {on: [5xx], attempts: 2, per_try_timeout: 1s}"
		}
		fmt.Fprintf(&b, "  - {name: r%d, match: {%s}, %s}\n", i, match, does)
	}
	protocol := one(r, "http1", "http2")
	fmt.Fprintf(&b, "clusters:\n  web: {protocol: %s, endpoints: [%q]}\n  beta: {endpoints: [%q]}\n", protocol, ends[protocol], ends["http1"])
	return b.String()
}

// conditions are those of a match, and the rewrites that go with it.
func conditions(r *rand.Rand) (string, []string) {
	rewrites := []string{"path_prefix: /v1", "path_regex: a, substitution: b", "host: cart.internal", "host_from_header: x-host"}
	var all []string
	switch r.IntN(6) {
	case 0:
		all = append(all, "path: "+one(r, paths...))
	case 1:
		all = append(all, "path_prefix: "+one(r, paths...))
	case 2:
		all = append(all, "path_segments: "+one(r, "/a", "/cart"))
	case 3:
		all = append(all, "path_regex: '"+one(r, "/a.*", "/(cart|b)/[0-9]+")+"'")
	case 4:
		all, rewrites = append(all, "path_template: '/cart/{id}'"), append(rewrites, "path_template: '/items/{id}'")
	}
	for _, more := range []string{
		"hosts: [" + one(r, "shop.test", "'*.test'", "other.test") + "]",
		"methods: [" + one(r, "GET", "'GET', 'POST'", "PUT") + "]",
		"headers: {x-a: {" + one(r, "exact: '1'", "present: true", "absent: true", "not: {exact: '1'}", "range: [1, 3]", "regex: '[a-z]+'") + "}}",
		"query: {v: {" + one(r, "exact: '2'", "present: true", "prefix: b") + "}}",
		"cookies: {c: {" + one(r, "exact: '2'", "absent: true", "suffix: b") + "}}",
		"grpc: " + one(r, "true", "{service: shop.Cart}", "{service: shop.Cart, method: Add}"),
		"clients: [" + one(r, "127.0.0.0/8", "10.0.0.0/8") + "]",
		"not: {" + one(r, "path: /a", "methods: [GET]", "headers: {x-a: {present: true}}") + "}",
	} {
		if r.IntN(4) == 0 {
			all = append(all, more)
		}
	}
	return strings.Join(all, ", "), rewrites
}

var paths = []string{"/a", "/a/b", "/ab", "/cart", "/cart/7", "/b/12", "/"}

// request is a random request, as it is explained and as it is sent.
func request(r *rand.Rand) explain.Request {
	q := explain.Request{Method: one(r, "GET", "POST", "PUT"), URL: one(r, append(paths, "//a", "/b/../cart/7", "/a%2Fb", "/%61")...) + one(r, "", "?v=2", "?v=b&v=2", "?x")}
	q.Headers = []string{"Host: " + one(r, "shop.test", "a.shop.test", "other.test:80", "elsewhere")}
	for _, line := range []string{"X-A: " + one(r, "1", "2", "abc", "beta"), "X-A: 1", "Cookie: c=" + one(r, "2", "ab") + "; d=1", "x-host: tenant.test", "X-Forwarded-For: 10.1.2.3", "x-envoy-retry-on: 5xx"} {
		if r.IntN(3) == 0 {
			q.Headers = append(q.Headers, line)
		}
	}
	switch r.IntN(4) {
	case 0:
		q.HTTP2 = true
	case 1:
		q.HTTP2, q.Method = true, "POST"
		q.Headers = append(q.Headers, "Content-Type: "+one(r, "application/grpc", "application/grpc+proto"), "TE: trailers")
		if r.IntN(3) > 0 {
			q.URL = one(r, "/shop.Cart/Add", "/shop.Cart/Get", "/shop.Stock/Add")
		}
		if r.IntN(3) == 0 {
			q.Headers = append(q.Headers, "grpc-timeout: 5S")
		}
	}
	if q.Method != "GET" && !q.HTTP2 {
		q.Headers = append(q.Headers, "Content-Length: 0")
		if r.IntN(6) == 0 {
			q.Headers = append(q.Headers, "Content-Type: application/grpc")
		}
	}
	q.Headers = slices.Clip(q.Headers)
	return q
}
