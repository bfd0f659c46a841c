package explained_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
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
	endpoint := proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
		for {
			lines, err := p.TryReadHead()
			if err != nil || len(lines) == 0 {
				return
			}
			got <- lines
			p.Send(proxytest.OKResponse)
		}
	})
	for seed := range uint64(5) {
		r := rand.New(rand.NewPCG(seed, 3))
		text := table(r, endpoint)
		p := proxytest.StartYAML(t, text)
		c, err := config.Parse("test.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		offline, err := snapshot.NewExplainer(c)
		if err != nil {
			t.Fatal(err)
		}
		client := p.Dial()
		for n := range 30 {
			asked := request(r)
			live := explained(t, p.Explain, asked)
			if before := explained(t, offline.Explain, asked); shown(t, before) != shown(t, live) {
				t.Fatalf("seed %d, request %d: by the file\n%s\nby the running proxy\n%s", seed, n, before.Text(true), live.Text(true))
			}
			response, took, head := send(t, p, client, asked, got, n+1)
			if why := contradiction(live, took, response, head); why != "" {
				t.Fatalf("seed %d, request %d, %s\n%s\n%s", seed, n, why, live.Text(true), text)
			}
		}
		offline.Close()
		p.Stop()
	}
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

// send sends a request, and returns its response, its Hop and the head that an endpoint got.
func send(t *testing.T, p *proxytest.Proxy, client *proxytest.Peer, asked explain.Request, got chan []string, n int) (*http.Response, *hop.Hop, []string) {
	t.Helper()
	client.Send(asked.Method + " " + asked.URL + " HTTP/1.1\r\n" + strings.Join(asked.Headers, "\r\n") + "\r\n\r\n")
	response, _ := client.ReadResponse(asked.Method)
	select {
	case head := <-got:
		return response, p.LatestHop(n), head
	default:
		return response, p.LatestHop(n), nil
	}
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
	case e.Answer != nil:
		return ""
	}
	at := slices.IndexFunc(e.Targets, func(t explain.Target) bool { return t.Cluster == took.Labels.Cluster && t.Chance > 0 })
	if at < 0 {
		return fmt.Sprintf("the request went to cluster %s, which is not explained", took.Labels.Cluster)
	}
	sent := e.Targets[at].Sent
	if len(sent) != len(head) {
		return fmt.Sprintf("the endpoint got\n%s\nwhich is not explained", strings.Join(head, "\n"))
	}
	for i := range head {
		timed := strings.HasPrefix(head[i], "x-envoy-expected-rq-timeout-ms:") // the time that went by counts
		if name, made := strings.CutSuffix(sent[i], ": ..."); made && strings.HasPrefix(head[i], name+":") || timed && strings.HasPrefix(sent[i], "x-envoy-expected") {
			continue
		}
		if sent[i] != head[i] {
			return fmt.Sprintf("the endpoint got %q, and %q is explained", head[i], sent[i])
		}
	}
	return ""
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
func table(r *rand.Rand, endpoint string) string {
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
	fmt.Fprintf(&b, "clusters:\n  web: {endpoints: [%q]}\n  beta: {endpoints: [%q]}\n", endpoint, endpoint)
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
	if q.Method != "GET" {
		q.Headers = append(q.Headers, "Content-Length: 0")
	}
	q.Headers = slices.Clip(q.Headers)
	return q
}
