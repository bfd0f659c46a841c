package routing_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// Requests reach the endpoint, and responses the client, with the fields that the route says.
func TestHeaderChanges(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		x := k.start(t, `
- name: changed
  match: {path_prefix: /old/}
  cluster: a
  rewrite: {path_prefix: /new/}
  request_headers:
    set: {x-real-ip: "%CLIENT_IP%", user-agent: hopscope, X-Path: "%REQ(:METHOD)% %REQ(:PATH)%", x-route: "%ROUTE%/%UPSTREAM_CLUSTER%", x-user: "%DOWNSTREAM_PEER_URI_SAN%", x-to: "%UPSTREAM_HOST%"}
    add: {x-tag: "%REQ(x-tag)%2"}
    remove: [cookie, x-secret]
  response_headers:
    set: {strict-transport-security: "max-age=31536000", x-server: "%UPSTREAM_HOST%", x-code: "%RESPONSE_CODE% %RESP(x-a)% %REQ(x-tag)%"}
    add: {x-a: b}
    remove: [server, x-powered-by]
- cluster: b
`)
		a := x.ask(t, "GET http://web.test/old/x?q", "X-Real-Ip: 1.2.3.4", "X-User: forged", "X-Tag: 1", "Cookie: a=b", "X-Secret: 1",
			"X-Answer-X-A: a", "X-Answer-Server: nginx", "X-Answer-X-Powered-By: php")
		method := a.seen.Method
		host := a.Header.Get("X-Server")
		for name, want := range map[string]string{
			"X-Real-Ip": "127.0.0.1", "User-Agent": "hopscope", "X-Path": method + " /old/x?q", "X-Route": "changed/a", "X-User": "", "X-To": host,
			"X-Tag": "1|12", "Cookie": "", "X-Secret": "",
		} {
			proxytest.Same(t, "request: "+name, strings.Join(a.seen.Header[name], "|"), want)
		}
		if !strings.HasPrefix(host, "127.0.0.1:") {
			t.Errorf("the endpoint is %q", host)
		}
		for name, want := range map[string]string{
			"Strict-Transport-Security": "max-age=31536000", "X-Code": "200 a 1,12", "X-A": "a|b", "Server": "", "X-Powered-By": "",
		} {
			proxytest.Same(t, "response: "+name, strings.Join(a.Header[http.CanonicalHeaderKey(name)], "|"), want)
		}
		proxytest.Same(t, "another route", x.ask(t, "GET http://web.test/", "X-Answer-Server: nginx").Header.Get("Server"), "nginx")
	})
}

// The proxy's own responses have the fields of the route, too: so do errors and redirects.
func TestHeaderChangesOfOwnResponses(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		const changes = `response_headers: {set: {x-safe: "%RESPONSE_CODE%", content-language: en}, remove: [vary]}`
		x := k.start(t, "- {match: {path: /redirect}, redirect: {path: /new}, "+changes+"}\n- {match: {path: /answer}, answer: {status: 201}, "+changes+"}\n"+
			"- {match: {path: /fault}, cluster: a, fault: {abort: {status: 503}}, "+changes+"}\n- {match: {path: /upstream}, cluster: a, "+changes+"}")
		for path, want := range map[string]string{"/redirect": "301", "/answer": "201", "/fault": "503", "/upstream": "200"} {
			if k.grpc {
				want = "200"
			}
			a := x.ask(t, "GET http://web.test"+path)
			proxytest.Same(t, path, a.Header.Get("X-Safe")+a.Header.Get("Content-Language")+a.Header.Get("Vary"), want+"en")
		}
		proxytest.Same(t, "without a route", x.ask(t, "GET http://web.test/").Header.Get("X-Safe"), "")
	})
}
