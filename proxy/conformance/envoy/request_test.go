package envoy_test

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

// request is one as it is sent.
type request struct {
	form                 string // one of the forms
	method, target, host string
	fields               []string // "name: value"
	crumbs               bool     // each cookie has a line of its own, which HTTP/2 allows (RFC 9113 section 8.2.3)
}

// The forms of requests: those of HTTP/1.1 and HTTP/2, and gRPC calls, over HTTP/2 as well.
const (
	overHTTP1 = "HTTP/1.1"
	overHTTP2 = "HTTP/2"
	asCall    = "gRPC"
)

func (q *request) String() string {
	return q.form + ": " + q.method + " " + q.target + "\r\nHost: " + q.host + "\r\n" + strings.Join(append(slices.Clip(q.fields), "\r\n"), "\r\n")
}

var (
	hosts = []string{
		"shop.test", "www.shop.test", "a.www.shop.test", "x.a.shop.test", "a.shop.test", "other.test", "x.test", "test", "SHOP.test", "shop.test:80", "shop.test:8080",
		"www.Shop.Test:443", "10.0.0.1", "10.0.0.1:81", "[::1]", "[::1]:82", "nobody",
	}
	targets = []string{
		"/", "/a", "/ab", "/a/", "/a/b", "/a/b/c", "/b", "/A", "/A/B", "/cart", "/cart/", "/cart/7", "/cart/7/items", "/cart/a.b/items", "/cart//items", "/a%20b",
		"/a%2fb", "/a%2Fb", "/%61", "/a;p=1", "//", "//a", "//a/b", "/a//b", "/./a", "/../a", "/a/../b", "/7", "/a/items/b.mp4", "/a/items/.mp4", "/a,b", "/a/b/7", "/a+b",
		"/a:b@c", "/a~b", "/aé", "/a'b", "/a!$&()*", "/.", "/..", "/b/a/a", "/aa",
	}
	// calls are paths of gRPC, or nearly.
	calls = []string{"/shop.Cart/Add", "/shop.Cart/Add", "/shop.Cart/Get", "/shop.Stock/Add", "/shop.Cart/Other", "/Cart/Get", "/shop.CartX/Add", "/shop.Cart", "/shop.Cart/", "/shop.Cart/Add/x", "/shop.cart/Add"}
	// tricks are other ways to write a path.
	tricks = []string{
		`/a\b`, "/a/%2e%2e/b", "/a%5cb", "/%2e", "/%2e%2e/", "/a/./b", "/a/..", "/../../a", "/a%00b", "/a/..;x/b", "/%61/%62", "/a%252fb", "/a/%2E%2e/b", "/a%zz", "/a%", "/a?b=%2f/../c",
		"/./", "/.//a", "///a///b", "/cart%2f7", "/cart/%2f/7", "/a/b/../../cart/7", "/%2f%2fa", "/a%2F%2e%2E%2fb", "/%7Ea", "/a%2b", "/a%3Bb", "/A%c3%a9", "/cart/..%2f", "/a/.../b", "/a/.b",
	}
	queries = []string{
		"", "", "", "?", "?v", "?v=", "?v=a", "?v=7&w=b", "?w=a&v=ab", "?v=a&v=b", "?v=b,c", "?v=a%20b", "?v=a+b", "?V=a", "?v=a=1", "?&v=a&", "?vv=a", "?v=150#", "?a/b?c", "?w&v=A",
	}
	sentValues   = append([]string{"", "é", "\xffab", "a\tb", "ab  ", "a\"b", "x100", "1,2"}, values...)
	cookieFields = []string{"c=a", "c=ab; d=b", "d=7;c=a", "group=b", `c="a"`, "c", "c=", "c=b; c=a", " c=a", "group=a b", "C=a", "c=a=1"}
)

// newRequest makes a request to a table: every other meets the conditions of a route, or
// all but one.
func newRequest(t *table, r *rand.Rand) request {
	q := request{form: one(r, []string{overHTTP1, overHTTP1, overHTTP2, asCall}), method: one(r, methods), target: one(r, targets) + one(r, queries), host: one(r, hosts)}
	switch {
	case q.form == asCall && !in(4, r):
		q.target = one(r, calls)
	case in(5, r):
		q.target = one(r, tricks)
	}
	if in(4, r) {
		q.fields = append(q.fields, one(r, []string{"x-cluster", "x-a"})+": "+one(r, []string{"r0", "r1", "r2", "r3", idle, "nobody", ""}))
	}
	for range r.IntN(3) {
		q.fields = append(q.fields, one(r, names)+": "+one(r, sentValues))
	}
	if in(3, r) {
		q.fields = append(q.fields, "cookie: "+one(r, cookieFields))
	}
	if in(4, r) {
		q.fields = append(q.fields, "x-host: "+one(r, hosts))
	}
	if in(20, r) {
		q.fields = append(q.fields, one(r, []string{"x-envoy-original-path", "x-envoy-original-host"})+": /x")
	}
	if !in(6, r) {
		h := one(r, t.hosts)
		route := one(r, h.routes)
		q.aim(&h, &route.Match, r)
	}
	if q.form == asCall {
		q.call(r)
	}
	q.crumbs = q.form != overHTTP1 && in(2, r)
	q.fields = slices.DeleteFunc(q.fields, func(f string) bool { return strings.HasPrefix(f, "host:") })
	slices.SortStableFunc(q.fields, func(a, b string) int { return strings.Compare(nameOf(a), nameOf(b)) })
	if in(8, r) {
		q.fields = append(q.fields, one(r, names[:5])+": "+one(r, values)) // another line of one, perhaps
	}
	return q
}

// call makes a request a gRPC call.
func (q *request) call(r *rand.Rand) {
	q.method = "POST"
	if !strings.HasPrefix(q.field("content-type"), "application/grpc") {
		q.set("content-type", one(r, []string{"application/grpc", "application/grpc", "application/grpc+proto"}))
	}
	q.set("te", "trailers")
	if in(4, r) {
		q.set("grpc-timeout", one(r, []string{"5S", "3000m"}))
	}
}

func nameOf(field string) string {
	name, _, _ := strings.Cut(field, ":")
	return name
}

// aim has a request meet the conditions of a match, but for one of them, perhaps.
func (q *request) aim(h *virtualHost, m *config.Match, r *rand.Rand) {
	steps := []func(){
		func() { q.host = hostOf(one(r, h.domains), r) },
		func() { q.aimPath(m, r) },
		func() {
			if len(m.Methods) > 0 {
				q.method = one(r, m.Methods)
			}
			if m.GRPC != nil {
				q.method = "POST"
				q.set("content-type", one(r, []string{"application/grpc", "application/grpc+proto", "application/grpc; a=b", "application/grpc-web", "application/json"}))
			}
		},
		func() {
			for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
				q.aimField(name, m.Headers[name], r)
			}
		},
		func() {
			var all []string
			for _, name := range slices.Sorted(maps.Keys(m.Query)) {
				all = append(all, name+"="+meeting(m.Query[name].Text, r))
			}
			if len(all) > 0 {
				path, _, _ := strings.Cut(q.target, "?")
				q.target = path + "?" + strings.ReplaceAll(strings.Join(all, "&"), " ", "%20")
			}
		},
		func() {
			var all []string
			for _, name := range slices.Sorted(maps.Keys(m.Cookies)) {
				all = append(all, name+"="+meeting(m.Cookies[name].Text, r))
			}
			if len(all) > 0 {
				q.set("cookie", strings.Join(all, "; "))
			}
		},
	}
	spared := r.IntN(3 * len(steps))
	for i, step := range steps {
		if i != spared {
			step()
		}
	}
}

func (q *request) aimPath(m *config.Match, r *rand.Rand) {
	_, query, asked := strings.Cut(q.target, "?")
	if asked {
		query = "?" + query
	}
	rest := one(r, []string{"", "", "/", "/b", "b", "/7/items", "?x", "%20", "/../b"})
	sample := func(of [][2]string, text string) string {
		for _, e := range of {
			if e[0] == text {
				return e[1]
			}
		}
		return text
	}
	switch {
	case m.Path != "":
		q.target = m.Path + query
	case m.PathPrefix != "":
		q.target = m.PathPrefix + rest + query
	case m.PathSegments != "":
		q.target = m.PathSegments + rest + query
	case m.PathRegex != "":
		q.target = sample(expressions, m.PathRegex) + query
	case m.PathTemplate != "":
		q.target = sample(templates, m.PathTemplate) + query
	case m.GRPC != nil && m.GRPC.Service != "":
		q.target = "/" + m.GRPC.Service + "/" + cmp.Or(m.GRPC.Method, one(r, []string{"Add", "Other", ""}))
	}
}

func hostOf(domain string, r *rand.Rand) string {
	host := domain
	if rest, ok := strings.CutPrefix(domain, "*"); ok {
		host = one(r, []string{"x", "www", "a.b"}) + rest
	}
	return host + one(r, []string{"", "", "", ":80", ":8080"})
}

// aimField sets a field so that it meets a condition.
func (q *request) aimField(name string, m config.ValueMatch, r *rand.Rand) {
	switch {
	case name == "host":
	case m.Absent:
		q.remove(name)
	case m.Not != nil:
		q.set(name, one(r, values))
	default:
		q.set(name, meeting(m.Text, r))
	}
}

// meeting is a value that meets a condition.
func meeting(t config.Text, r *rand.Rand) string {
	around := one(r, []string{"", "", "a", "b,"})
	switch {
	case t.Prefix != "":
		return t.Prefix + around
	case t.Suffix != "":
		return around + t.Suffix
	case t.Contains != "":
		return around + t.Contains + around
	case t.Regex != "":
		for _, e := range valueExpressions {
			if e[0] == t.Regex {
				return e[1]
			}
		}
	case t.Range != nil:
		return one(r, []string{"5", "7", "100", "199", "200", "-3", "0", "10", "+7", "1e2", "0x7", "99999999999999999999"})
	}
	if t.IgnoreCase && in(2, r) {
		return strings.ToUpper(t.Exact)
	}
	return t.Exact
}

func (q *request) remove(name string) {
	q.fields = slices.DeleteFunc(q.fields, func(f string) bool { return nameOf(f) == name })
}

func (q *request) set(name, value string) {
	q.remove(name)
	q.fields = append(q.fields, name+": "+value)
}
