package routing_test

import (
	"net/http"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// A redirect replaces parts of the URL that was asked for, and keeps the others.
func TestRedirects(t *testing.T) {
	tests := []struct{ match, redirect, asked, location string }{
		{"{}", "{path: /new}", "http://web.test/old", "http://web.test/new"},
		{"{}", "{path: /new}", "http://web.test/old?a=b", "http://web.test/new?a=b"},
		{"{}", "{path: /new}", "http://web.test/old?", "http://web.test/new?"},
		{"{}", "{path: '/new?c=d'}", "http://web.test/old?a=b", "http://web.test/new?c=d"},
		{"{}", "{path: /new, strip_query: true}", "http://web.test/old?a=b", "http://web.test/new"},
		{"{}", "{strip_query: true}", "http://web.test/old?a=b", "http://web.test/old"},
		{"{}", "{scheme: https}", "http://web.test:80/a", "https://web.test/a"},
		{"{}", "{scheme: https}", "http://web.test:8080/a", "https://web.test:8080/a"},
		{"{}", "{scheme: https, port: 8443}", "http://web.test:8080/a", "https://web.test:8443/a"},
		{"{}", "{host: other.test}", "http://web.test:8080/a?b", "http://other.test/a?b"},
		{"{}", "{host: 'other.test:1'}", "http://web.test/", "http://other.test:1/"},
		{"{}", "{host: other.test, port: 2}", "http://web.test/", "http://other.test:2/"},
		{"{}", "{port: 2}", "http://[::1]:8080/", "http://[::1]:2/"},
		{"{path_prefix: /old/}", "{path_prefix: /new/}", "http://web.test/old/a?b", "http://web.test/new/a?b"},
		{"{path_segments: /old}", "{path_prefix: /new}", "http://web.test/old/a", "http://web.test/new/a"},
		{"{path: /old}", "{path_prefix: /new}", "http://web.test/old", "http://web.test/new"},
		{"{path_regex: '/o.*'}", "{path_prefix: /new}", "http://web.test/old/a", "http://web.test/new"},
		{"{}", `{path_regex: '^/users/([0-9]+)', substitution: '/u/\1'}`, "http://web.test/users/7/x?y", "http://web.test/u/7/x?y"},
		{"{}", `{path_regex: '^/a'}`, "http://web.test/a", "http://web.test/"},
	}
	eachKind(t, func(t *testing.T, k kind) {
		for _, tt := range tests {
			x := k.start(t, "- {match: "+tt.match+", redirect: "+tt.redirect+"}")
			a := x.ask(t, "GET "+tt.asked)
			proxytest.Same(t, tt.redirect+" of "+tt.asked, a.Header.Get("Location"), tt.location)
			if !k.grpc {
				proxytest.Same(t, "status", a.StatusCode, 301)
			}
		}
	})
}

func TestCodesOfRedirects(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		for _, code := range []string{"301", "302", "303", "307", "308"} {
			x := k.start(t, "- {redirect: {path: /new, code: "+code+"}}")
			a := x.ask(t, "POST http://web.test/")
			if k.grpc { // a call ends with a status
				proxytest.Same(t, "gRPC status", a.Header.Get("Grpc-Status"), "2")
				continue
			}
			proxytest.Same(t, "status", a.Status[:3], code)
			proxytest.Same(t, "content", a.body, "")
		}
	})
}

// A client can't make a relative redirect lead to another host.
func TestRedirectWithoutHost(t *testing.T) {
	proxytest.NoLeaks(t)
	x := kinds[0].start(t, "- {redirect: {strip_query: true}}", "path: {merge_slashes: false}")
	r := proxytest.Ask(t, x.Ingress(), "GET //evil.test/a?b HTTP/1.0\r\n\r\n")
	proxytest.Same(t, "location", r.Header.Get("Location"), "/.//evil.test/a")
}

func TestAnswers(t *testing.T) {
	page := t.TempDir() + "/page.html"
	write(t, page, "<p>hello</p>")
	tests := []struct {
		answer, body, contentType string
		status                    int
		fields                    map[string]string
	}{
		{answer: `{body: "ok\n"}`, status: 200, body: "ok\n", contentType: "text/plain; charset=utf-8"},
		{answer: `{status: 503, body: a, headers: {Retry-After: "7", content-type: text/x}}`, status: 503, body: "a", contentType: "text/x", fields: map[string]string{"Retry-After": "7"}},
		{answer: `{json: {ok: true, list: [1, a]}}`, status: 200, body: `{"ok":true,"list":[1,"a"]}`, contentType: "application/json"},
		{answer: `{file: "` + page + `"}`, status: 200, body: "<p>hello</p>", contentType: "text/html; charset=utf-8"},
		{answer: `{status: 404}`, status: 404},
		{answer: `{status: 204}`, status: 204},
	}
	eachKind(t, func(t *testing.T, k kind) {
		for _, tt := range tests {
			x := k.start(t, "- {match: {path: /health}, answer: "+tt.answer+"}\n- cluster: a")
			proxytest.Same(t, "another path", x.cluster(t, "GET http://web.test/"), "a")
			a := x.ask(t, "GET http://web.test/health")
			for name, value := range tt.fields {
				proxytest.Same(t, name, a.Header.Get(name), value)
			}
			if k.grpc {
				if a.StatusCode != 200 || a.Header.Get("Grpc-Status") == "" || a.Header.Get("Content-Type") != "application/grpc" {
					t.Errorf("%s: %s %v", tt.answer, a.Status, a.Header)
				}
				continue
			}
			proxytest.Same(t, tt.answer+": status", a.StatusCode, tt.status)
			proxytest.Same(t, tt.answer+": content", a.body, tt.body)
			proxytest.Same(t, tt.answer+": type", a.Header.Get("Content-Type"), tt.contentType)
			if tt.status == 204 { // RFC 9110 section 8.6
				proxytest.Same(t, "length of 204", len(a.Header["Content-Length"]), 0)
			}
			head := x.ask(t, http.MethodHead+" http://web.test/health")
			proxytest.Same(t, tt.answer+": content of HEAD", head.body, "")
			if tt.status != 204 {
				proxytest.Same(t, tt.answer+": length of HEAD", head.ContentLength, a.ContentLength)
			}
		}
	})
}
