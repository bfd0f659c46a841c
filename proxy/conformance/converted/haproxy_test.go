package converted_test

import (
	"strings"
	"testing"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/convert"
)

// haproxyRuns runs an example on HAProxy and on hopscope, and returns their addresses.
func haproxyRuns(t *testing.T, path, listener, bind string, endpoints map[string]string, fields []string) (original, ours string) {
	t.Helper()
	text := example(t, path, endpoints, fields)
	r, err := convert.HAProxy(path, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return backends.HAProxy(t, strings.ReplaceAll(text, bind, `{{addr "web"}}`)).Addr("web"), converted(t, r, listener)
}

func TestHAProxyRules(t *testing.T) {
	original, ours := haproxyRuns(t, "haproxy/rules.in", "web", "127.0.0.1:10000",
		map[string]string{"3001": "static", "3002": "users", "3003": "api", "3004": "other", "3005": "app"}, nil)
	hosts := []string{"api.test", "API.test", "secure.test", "www.any.test", "a.wide.test", "wide.test", "x.dom.test", "dom.test.x", "kingdom.test", "else.test"}
	targets := []string{
		"/", "/haproxy-alive", "/ping", "/ping?x=1", "/empty", "/old", "/old?x=1", "/docs?y=2", "/moved/a?b=c", "/v1/a?b=c", "/v1", "/a/secret?x=y", "/static/a/b.png?v=1", "/static",
		"/images/static/x", "/a.css", "/css", "/x.js?y", "/users/7", "/users/7/", "/users/x", "/legacy", "/a/legacy/b", "/a/legacyb", "/?id=", "/x?id=7", "/admin/x", "/%73tatic/a",
	}
	fields := []map[string]string{
		nil, {"authorization": "Bearer x"}, {"user-agent": "A-Spider/1.0"}, {"cookie": "a=b; group=beta"}, {"cookie": "group=alpha"}, {"cookie": "group=b", "user-agent": "Curl/8"}, {"x-backend": "static"}, {"x-backend": "none"},
	}
	same(t, original, ours, product(hosts, targets, fields[:1], "GET", "POST", "DELETE", "HEAD"), nil)
	same(t, original, ours, product(hosts[8:], targets, fields[1:], "GET", "DELETE"), nil)
}
