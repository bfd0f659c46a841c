package catalog_test

import (
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/catalog"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/route"
)

// Requests, with the routes that Fabio's rules give them: hosts from the most
// specific on, in each the longest path, and last the paths of no host.
func TestRequestsFindTheirRoute(t *testing.T) {
	p := catalog.Compile([]catalog.Service{service("svc", at("1",
		"urlprefix-/", "urlprefix-/foo", "urlprefix-abc.com/", "urlprefix-abc.com/foo", "urlprefix-abc.com/foo/", "urlprefix-abc.com/foo/bar", "urlprefix-abc.com/foo/bar/",
		"urlprefix-*.foo.com/", "urlprefix-*.a.foo.com/", "urlprefix-*.z.foo.com/", "urlprefix-b.a.foo.com/only", "urlprefix-*bar.com/x", "urlprefix-*/star", "urlprefix-svc.service.consul/v2",
	))}, catalog.Options{})
	var matches []route.Match
	for _, r := range p.Routes {
		matches = append(matches, r.Match)
	}
	table := route.Compile(matches)
	for request, want := range map[string]string{
		"abc.com/": "abc.com/", "ABC.com:80/bar": "abc.com/", "abc.com/foo": "abc.com/foo", "abc.com/foo/": "abc.com/foo/",
		"abc.com/foo/bar": "abc.com/foo/bar", "abc.com/foo/bar/": "abc.com/foo/bar/", "abc.com/fool": "abc.com/foo",
		"def.com/": "/", "def.com/bar": "/", "def.com/foo": "/foo", "/foo": "/foo", "/star": "*/star", "def.com/star": "*/star",
		"foo.com/": "/", "x.foo.com/foo": "*.foo.com/", "a.foo.com/": "*.foo.com/", "c.a.foo.com/": "*.a.foo.com/", "c.z.foo.com/": "*.z.foo.com/",
		"b.a.foo.com/": "*.a.foo.com/", "b.a.foo.com/only": "b.a.foo.com/only",
		"bar.com/x": "*bar.com/x", "foobar.com/x": "*bar.com/x", "bar.com/foo": "/foo",
		"svc/foo": "svc", "svc.service.consul/": "svc", "svc.service.consul/v2/x": "svc.service.consul/v2",
	} {
		i := strings.IndexByte(request, '/')
		name := "none"
		if got := table.Match(&route.Request{Head: head(request[:i], request[i:])}); got >= 0 {
			name = p.Routes[got].Name
		}
		if name != want {
			t.Errorf("%s: %s, want %s", request, name, want)
		}
	}
}

func head(host, path string) *message.Head {
	h := new(message.Head)
	line := "GET " + path + " "
	h.Begin([]byte(line + "Host: " + host))
	target := message.Span{Off: 4, Len: uint32(len(path))}
	h.SetRequestLine(message.Span{Len: 3}, target, message.Span{}, message.Span{}, target, message.Span{})
	h.AddDecoded(message.Host, message.Span{Off: uint32(len(line)), Len: 4}, message.Span{Off: uint32(len(line) + 6), Len: uint32(len(host))})
	return h
}
