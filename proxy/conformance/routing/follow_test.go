package routing_test

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// following are routes of which the first follows redirects; its endpoint redirects wherever
// a test has it, the others do not.
const following = `
- {match: {path_prefix: /a}, cluster: a, internal_redirects: {max: 2, codes: [301, 302, 303, 307, 308], copy_headers: [x-why]}}
- {match: {hosts: [b.test]}, cluster: b, request_headers: {set: {x-route: b}}}
- {match: {path_prefix: /c/}, cluster: c, rewrite: {path_prefix: /}}
`

// leadsTo are the fields that make an endpoint of cluster a redirect.
func leadsTo(status int, location string, more ...string) []string {
	return append([]string{"X-Only: a", "X-Status: " + strconv.Itoa(status), "X-Answer-Location: " + location}, more...)
}

// A redirect is followed: the next request is matched anew, and goes out as the client would
// have sent it.
func TestInternalRedirects(t *testing.T) {
	tests := []struct{ location, cluster, host, target string }{
		{"/c/1?x=y", "c", "web.test", "/1?x=y"},
		{"http://b.test/x", "b", "b.test", "/x"},
		{"//b.test", "b", "b.test", "/"},
		{"../c/2#part", "c", "web.test", "/2"},
		{"?again", "a", "web.test", "/a/7?again"},
		{"/c/%2e%2e/c/3", "c", "web.test", "/3"},
		{"http://B.TEST:80/x", "b", "B.TEST:80", "/x"},
		// These go to the client.
		{"/none", "", "", ""},
		{"https://b.test/", "", "", ""},
		{"ftp://b.test/", "", "", ""},
		{"http://user:secret@b.test/", "", "", ""},
		{"mailto:a@b.test", "", "", ""},
		{"", "", "", ""},
	}
	eachKind(t, func(t *testing.T, k kind) {
		x := k.start(t, following)
		for _, tt := range tests {
			a := x.ask(t, "GET http://web.test/a/7?q", leadsTo(302, tt.location, "X-Envoy-Original-Url: http://mine.test/")...)
			if tt.cluster == "" {
				proxytest.Same(t, tt.location+": status", a.StatusCode, 302)
				proxytest.Same(t, tt.location+": location", a.Header.Get("Location"), tt.location)
				proxytest.Same(t, tt.location+": it was at", a.seen.Cluster, "a")
				continue
			}
			proxytest.Same(t, tt.location+": cluster", a.seen.Cluster, tt.cluster)
			proxytest.Same(t, tt.location+": host", a.seen.Host, tt.host)
			proxytest.Same(t, tt.location+": target", a.seen.Target, tt.target)
			proxytest.Same(t, tt.location+": x-envoy-original-url", a.seen.Header.Get("x-envoy-original-url"), "http://web.test/a/7?q")
			if tt.cluster != "a" {
				proxytest.Same(t, tt.location+": status", a.StatusCode, 200)
			}
		}
	})
}

// The request that follows has the method and the content of the first, but for 303.
func TestInternalRedirectsKeepTheRequest(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		x := k.start(t, following)
		for _, status := range []int{301, 302, 303, 307, 308} {
			for _, method := range []string{"GET", "HEAD", "POST"} {
				for _, length := range []string{"told", "not told"} {
					if method != "POST" && length == "not told" {
						continue
					}
					var body io.Reader
					if method == "POST" {
						body = strings.NewReader("content")
					}
					if length == "not told" {
						body = io.MultiReader(body)
					}
					r, err := http.NewRequestWithContext(t.Context(), method, "http://web.test/a", body)
					if err != nil {
						t.Fatal(err)
					}
					r.Header.Set("Content-Type", "text/plain")
					for _, f := range leadsTo(status, "/c/1", "X-Answer-X-Why: moved", "X-Why: mine") {
						name, value, _ := strings.Cut(f, ": ")
						r.Header.Set(name, value)
					}
					name := strconv.Itoa(status) + " " + method + ", length " + length
					want, content := method, ""
					switch {
					case k.grpc:
						method, want, content = "POST", "POST", "\x00\x00\x00\x00\x00"
					case method == "POST":
						content = "content"
					}
					if status == 303 && method == "POST" {
						want, content = "GET", ""
					}
					a := x.do(t, r)
					proxytest.Same(t, name+": status", a.StatusCode, 200)
					proxytest.Same(t, name+": cluster", a.seen.Cluster, "c")
					proxytest.Same(t, name+": method", a.seen.Method, want)
					proxytest.Same(t, name+": content", a.seen.Content, content)
					proxytest.Same(t, name+": content-type", a.seen.Header.Get("Content-Type") != "", want == method)
					proxytest.Same(t, name+": copied field", a.seen.Header.Get("X-Why"), "moved")
				}
			}
		}
	})
}

// A redirect that leads in a circle comes to its end, and goes to the client. The Hop has
// each attempt.
func TestInternalRedirectsEnd(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		x := k.start(t, following+`
- {match: {path_prefix: /b}, cluster: b, internal_redirects: {}, max_requests: 1, timeout: 5s}
`)
		a := x.ask(t, "GET http://web.test/a", leadsTo(302, "/a")...)
		proxytest.Same(t, "status", a.StatusCode, 302)
		proxytest.Same(t, "cluster", a.seen.Cluster, "a")
		counts := x.Scrape()
		for result, want := range map[string]float64{"followed": 2, "passed": 1} {
			proxytest.Same(t, result, counts.Sum("hopscope_internal_redirects_total", "route", "/a", "result", result), want)
		}
		var statuses []int
		for _, a := range x.LatestHop(1).Attempts {
			statuses = append(statuses, a.Status)
		}
		if want := []int{302, 302, 302}; !slices.Equal(statuses, want) {
			t.Errorf("the attempts have the statuses %d, want %d", statuses, want)
		}

		// A route that has room for one request has room for it again.
		a = x.ask(t, "GET http://web.test/b", "X-Only: b", "X-Status: 302", "X-Answer-Location: /b/again")
		proxytest.Same(t, "status, of a route with room for one", a.StatusCode, 302)
		proxytest.Same(t, "target", a.seen.Target, "/b/again")
	})
}

// Content that is not kept goes nowhere again.
func TestInternalRedirectsOfMuchContent(t *testing.T) {
	for _, k := range kinds[:2] {
		t.Run(k.name, func(t *testing.T) {
			proxytest.NoLeaks(t)
			x := k.start(t, `
- {match: {path_prefix: /a}, cluster: a, internal_redirects: {codes: [303, 307]}}
- {match: {path_prefix: /b}, cluster: a, internal_redirects: {codes: [307]}, retry: {on: [reset], max_body: 1048576}}
- {match: {path: /c}, cluster: c, body: {max: 10MiB}}
`)
			post := func(path string, status int, body io.Reader) answer {
				r, err := http.NewRequestWithContext(t.Context(), "POST", "http://web.test"+path, body)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range leadsTo(status, "/c") {
					name, value, _ := strings.Cut(f, ": ")
					r.Header.Set(name, value)
				}
				return x.do(t, r)
			}
			for _, size := range []int{10 << 10, 100 << 10, 2 << 20} {
				content := strings.Repeat("x", size)
				for _, body := range []io.Reader{strings.NewReader(content), io.MultiReader(strings.NewReader(content))} {
					a := post("/a", 307, body)
					want := "a"
					if size <= 16<<10 {
						want = "c"
					}
					proxytest.Same(t, strconv.Itoa(size)+" bytes: cluster", a.seen.Cluster, want)
					proxytest.Same(t, strconv.Itoa(size)+" bytes: content", a.seen.Size, size)
				}
				a := post("/a", 303, strings.NewReader(content))
				proxytest.Same(t, strconv.Itoa(size)+" bytes, without content: cluster", a.seen.Cluster, "c")
				proxytest.Same(t, strconv.Itoa(size)+" bytes, without content: method", a.seen.Method, "GET")
			}
			a := post("/b", 307, strings.NewReader(strings.Repeat("x", 100<<10)))
			proxytest.Same(t, "with a larger max_body: cluster", a.seen.Cluster, "c")
			proxytest.Same(t, "with a larger max_body: content", a.seen.Size, 100<<10)
		})
	}
}
