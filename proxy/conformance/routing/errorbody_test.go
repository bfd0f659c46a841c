package routing_test

import (
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// Errors of the proxy have the content that the route says, and those of endpoints where it
// says so. Status and other fields stay.
func TestErrorBodies(t *testing.T) {
	const bodies = `error_bodies: [{statuses: [500-599], body: "sorry", content_type: text/html, endpoints: true}, {json: {error: true}}]`
	tests := []struct {
		what, line  string
		fields      []string
		status      int
		body, media string
	}{
		{"of the proxy", "GET http://web.test/fault", nil, 503, "sorry", "text/html"},
		{"of the proxy, without a content", "HEAD http://web.test/fault", nil, 503, "", "text/html"},
		{"of the proxy, in JSON", "POST http://web.test/denied", []string{"X: 1"}, 418, `{"error":true}`, "application/json"},
		{"of an endpoint", "GET http://web.test/", []string{"X-Status: 502", "X-Content: long and bad", "X-Answer-Etag: \"a\"", "X-Answer-Content-Encoding: gzip", "X-Answer-Retry-After: 3"}, 502, "sorry", "text/html"},
		{"of an endpoint, to HEAD", "HEAD http://web.test/", []string{"X-Status: 502"}, 502, "", "text/html"},
		{"of an endpoint, which is not asked for", "GET http://web.test/", []string{"X-Status: 404", "X-Content: gone", "X-Answer-Content-Type: text/plain"}, 404, "gone", "text/plain"},
		{"no error", "GET http://web.test/", []string{"X-Content: fine", "X-Answer-Content-Type: text/plain"}, 200, "fine", "text/plain"},
		{"an answer of the configuration", "GET http://web.test/answer", nil, 503, "closed", "text/plain; charset=utf-8"},
	}
	eachKind(t, func(t *testing.T, k kind) {
		x := k.start(t, "- {match: {path: /fault}, cluster: a, fault: {abort: {status: 503}}, "+bodies+"}\n"+
			"- {match: {path: /denied}, cluster: a, fault: {abort: {status: 418}}, "+bodies+"}\n"+
			"- {match: {path: /answer}, answer: {status: 503, body: closed}, "+bodies+"}\n- {cluster: a, "+bodies+"}")
		if k.grpc {
			proxytest.Same(t, "a call", x.ask(t, "POST http://web.test/fault").Header.Get("Grpc-Status"), "14")
			return
		}
		for _, tt := range tests {
			a := x.ask(t, tt.line, tt.fields...)
			proxytest.Same(t, tt.what+": status", a.StatusCode, tt.status)
			proxytest.Same(t, tt.what+": content", a.body, tt.body)
			proxytest.Same(t, tt.what+": media type", a.Header.Get("Content-Type"), tt.media)
			if tt.media == "text/html" {
				proxytest.Same(t, tt.what+": of the content that was", a.Header.Get("Etag")+a.Header.Get("Content-Encoding"), "")
			}
		}
		proxytest.Same(t, "another field", x.ask(t, "GET http://web.test/", "X-Status: 503", "X-Answer-Retry-After: 3").Header.Get("Retry-After"), "3")
	})
}
