package envoy_test

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/pathform"
)

// table is a generated list of virtual hosts, as Envoy has them.
type table struct {
	number int
	path   config.Path
	hosts  []virtualHost
}

// virtualHost are the routes of some hosts. Only the virtual host whose domain is the
// closest to the host of a request is asked for it.
type virtualHost struct {
	domains []string
	routes  []config.Route
}

// name is that of the listener that has the table.
func (t *table) name() string { return fmt.Sprintf("table-%d", t.number) }

// mostRoutes is how many routes a table has at most; each leads to a cluster of its own.
const mostRoutes = 12

// newTable generates a table. All that it has is of few words, so that requests meet its
// conditions, or nearly.
func newTable(number int, r *rand.Rand) *table {
	t := &table{number: number, path: config.Path{EscapedSlashes: "keep"}}
	if in(2, r) {
		t.path = config.Path{Normalize: !in(4, r), MergeSlashes: in(2, r), EscapedSlashes: one(r, []string{"keep", "reject", "unescape", "redirect"})}
	}
	free := slices.Clone(domains)
	r.Shuffle(len(free), func(i, k int) { free[i], free[k] = free[k], free[i] })
	n := 0
	for range 1 + r.IntN(4) {
		take := 1 + r.IntN(2)
		h := virtualHost{domains: free[:take]}
		free = free[take:]
		for range 1 + r.IntN(mostRoutes/4) {
			route := newRoute(fmt.Sprintf("r%d", n), r)
			reachable(&route.Match, t.path.Rules())
			h.routes = append(h.routes, route)
			n++
		}
		t.hosts = append(t.hosts, h)
	}
	return t
}

// reachable has a match ask for no path that the rules leave no request.
func reachable(m *config.Match, rules pathform.Rules) {
	can := func(path string) bool {
		_, verdict := rules.Append(nil, []byte(path))
		return verdict == pathform.Same
	}
	if m.Path != "" && !can(m.Path) {
		m.Path = "/a/b"
	}
	if m.PathSegments != "" && !can(m.PathSegments) {
		m.PathSegments = "/a"
	}
	if m.PathPrefix != "" && !can(m.PathPrefix+"x") {
		m.PathPrefix = "/a"
	}
	if m.Not != nil && m.Not.PathPrefix != "" && !can(m.Not.PathPrefix+"x") {
		m.Not.PathPrefix = "/ab"
	}
}

func one[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

// in reports true once in n times.
func in(n int, r *rand.Rand) bool { return r.IntN(n) == 0 }

// answerText is what the content of answers begins with.
const answerText = "answer of "

var (
	domains  = []string{"*", "shop.test", "www.shop.test", "*.shop.test", "*.test", "*.a.shop.test", "other.test", "10.0.0.1", "[::1]"}
	prefixes = []string{"/", "/a", "/a/", "/ab", "/a/b", "/cart", "/cart/", "/A", "/a%20b", "/a//", "/.", "/7"}
	paths    = []string{"/", "/a", "/a/b", "/cart/7", "/cart/7/items", "/A", "/a%20b", "/a;p=1", "/a/", "//a"}
	segments = []string{"/a", "/a/b", "/cart", "/cart/7", "/A", "/a%20b"}
	methods  = []string{"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"}

	// expressions are for paths, with a path that each matches.
	expressions = [][2]string{
		{"/a", "/a"}, {"/a.*", "/ab/7"}, {"/(a|ab)/[0-9]+", "/ab/7"}, {".*", "/"}, {".*/items", "/cart/7/items"}, {"/cart/[^/]+", "/cart/7"},
		{"/[a-c]+", "/abc"}, {"(?i)/A/B", "/a/b"}, {"/a|/b", "/b"}, {"/a/?", "/a/"}, {"/.", "/7"},
	}
	templates = [][2]string{
		{"/cart/{id}", "/cart/7"}, {"/cart/{id}/items", "/cart/7/items"}, {"/{x}/{y}", "/a/b"}, {"/a/**", "/a/b/c"}, {"/{x}/*", "/a/b"},
		{"/a/{rest=**}", "/a/b/c"}, {"/*", "/a"}, {"/**", "/a/b"}, {"/{x=a/*}/{y}", "/a/b/7"}, {"/{x}/items/*.mp4", "/a/items/b.mp4"},
	}
	services    = []string{"shop.Cart", "shop.Stock", "Cart"}
	grpcMethods = []string{"Add", "Get", ""} // "" is all
	names       = []string{"x-a", "x-b", "user-agent", "accept", "x-num", "content-type", "host", "cookie"}
	values      = []string{"a", "b", "ab", "A", "aB", "b,c", "7", "100", "150", "-3", "007", "a b", "application/grpc", "shop.test", "a=1"}
	// valueExpressions are for values, with one that each matches.
	valueExpressions = [][2]string{{"a.*", "ab"}, {"[0-9]+", "100"}, {"a|b", "b"}, {"(?i)AB", "aB"}, {".*b", "ab"}, {".+", "7"}, {"a b|b,c", "b,c"}}
	ranges           = [][]int{{0, 10}, {100, 200}, {-5, 0}, {7, 8}}
	parameters       = []string{"v", "w", "V"}
	cookies          = []string{"c", "d", "group"}
)

func newRoute(name string, r *rand.Rand) config.Route {
	route := config.NewRoute("")
	route.Name = name
	newMatch(&route.Match, r)
	switch r.IntN(10) {
	case 0, 1:
		route.Redirect = newRedirect(&route.Match, r)
	case 2:
		route.Answer = config.NewAnswer()
		route.Answer.Status, route.Answer.Body = one(r, []int{200, 201, 403, 404, 503}), answerText+name
	default:
		switch r.IntN(6) {
		case 0: // chance has no say where only one has weight
			route.Split = []config.SplitTarget{{Cluster: idle, Weight: 0}, {Cluster: name, Weight: 1 + r.IntN(100)}}
		case 1:
			route.ClusterHeader, route.AllowClusters = one(r, []string{"x-a", "x-cluster"}), []string{name, idle}
		default:
			route.Cluster = name
		}
		if in(2, r) {
			route.Rewrite = newRewrite(&route.Match, r)
		}
		route.RequestHeaders = newChanges(r, []string{"%REQ(x-num)%", "a %REQ(x-nothing)%", "%REQ(x-nothing?accept)%", "%PROTOCOL%", "%REQ(user-agent):1%"})
	}
	route.ResponseHeaders = newChanges(r, []string{"%REQ(x-num)%", "%PROTOCOL%", "%RESP(x-fixed)%"})
	if route.ResponseHeaders == nil {
		route.ResponseHeaders = &config.HeaderChanges{}
	}
	if route.ResponseHeaders.Set == nil {
		route.ResponseHeaders.Set = map[string]string{}
	}
	route.ResponseHeaders.Set["x-route"] = name
	return route
}

// idle is the last of the clusters, which no route leads to by itself.
const idle = "idle"

// newChanges changes fields, those that are there and others, to texts and to some of
// these values. Values come from fields that do not change, and those that are set are
// not empty: see the differences in docs/from-envoy.md.
func newChanges(r *rand.Rand, operators []string) *config.HeaderChanges {
	if !in(3, r) {
		return nil
	}
	c := &config.HeaderChanges{Set: map[string]string{}, Add: map[string]string{}}
	names, values := []string{"x-a", "x-b", "x-up", "x-new", "X-Other"}, append([]string{"a", "b c", "100%%", "é"}, operators...)
	for range r.IntN(3) {
		c.Set[one(r, names)] = "v" + one(r, values)
	}
	for range r.IntN(3) {
		if name := one(r, names); c.Set[name] == "" {
			c.Add[name] = one(r, values)
		}
	}
	for range r.IntN(3) {
		if name := one(r, names); !slices.Contains(c.Remove, name) {
			c.Remove = append(c.Remove, name)
		}
	}
	if len(c.Set)+len(c.Add)+len(c.Remove) == 0 {
		return nil
	}
	return c
}

func newMatch(m *config.Match, r *rand.Rand) {
	switch r.IntN(9) {
	case 0, 1:
		m.PathPrefix = one(r, prefixes)
	case 2:
		m.Path = one(r, paths)
	case 3:
		m.PathSegments = one(r, segments)
	case 4:
		m.PathRegex = one(r, expressions)[0]
	case 5:
		m.PathTemplate = one(r, templates)[0]
	case 6:
		m.GRPC = &config.GRPCMatch{Service: one(r, services), Method: one(r, grpcMethods)}
	default:
	}
	if in(4, r) {
		m.Methods = some(r, methods)
	}
	if m.GRPC == nil && in(8, r) {
		m.GRPC = &config.GRPCMatch{}
	}
	if in(20, r) {
		m.Percent = 0
	}
	m.Headers = newValues(r, names, true)
	m.Query = newValues(r, parameters, false)
	m.Cookies = newValues(r, cookies, false)
	if in(5, r) {
		not := &config.Conditions{}
		switch r.IntN(4) {
		case 0:
			not.Methods = some(r, methods)
		case 1:
			not.PathPrefix = one(r, prefixes[1:])
		default:
			v := newValue(r, true)
			if v.Not != nil { // twice inverted, it takes what is absent: Envoy has no such condition
				v = config.ValueMatch{Text: *v.Not}
			}
			not.Headers = map[string]config.ValueMatch{one(r, names): v}
		}
		m.Not = not
	}
}

func some(r *rand.Rand, of []string) []string {
	return slices.Compact(slices.Sorted(slices.Values([]string{one(r, of), one(r, of)})))
}

// newValues are conditions on one or two values, or none, as it is most often.
func newValues(r *rand.Rand, names []string, headers bool) map[string]config.ValueMatch {
	if !in(6, r) && (!headers || !in(4, r)) {
		return nil
	}
	all := map[string]config.ValueMatch{}
	for range 1 + r.IntN(2) {
		all[one(r, names)] = newValue(r, headers)
	}
	return all
}

// newValue is a condition on a value; those of header fields know more.
func newValue(r *rand.Rand, header bool) (m config.ValueMatch) {
	switch r.IntN(8) {
	case 0:
		m.Present = true
		return m
	case 1:
		if header {
			m.Absent = true
			return m
		}
	case 2:
		if header {
			m.Not = &config.Text{}
			newText(m.Not, r, header)
			return m
		}
	}
	newText(&m.Text, r, header)
	return m
}

func newText(t *config.Text, r *rand.Rand, header bool) {
	switch text := one(r, values); r.IntN(7) {
	case 0:
		t.Prefix = text
	case 1:
		t.Suffix = text
	case 2:
		t.Contains = text
	case 3:
		t.Regex = one(r, valueExpressions)[0]
	case 4:
		if header {
			t.Range = one(r, ranges)
			return
		}
		t.Exact = text
	default:
		t.Exact = text
	}
	t.IgnoreCase = t.Regex == "" && in(4, r)
}

// substitutions are expressions for parts of paths, and what takes their place.
var substitutions = [][2]string{
	{"^/a", "/b"}, {"a", "bb"}, {"^/cart/([^/]+)(.*)$", `\2/of/\1`}, {"/", "//"}, {"[0-9]+", ""}, {"^/(.*)$", `/v1/\1`}, {"(a)(b)?", `\2\1`}, {"b*", "-"}, {"^/", ""},
}

func newRewrite(m *config.Match, r *rand.Rand) *config.Rewrite {
	w := &config.Rewrite{}
	switch r.IntN(4) {
	case 0:
		if hasPrefix(m) {
			w.PathPrefix = one(r, []string{"/", "/b", "/b/", "/v1/x"})
		}
	case 1:
		s := one(r, substitutions)
		w.PathRegex, w.Substitution = s[0], s[1]
	case 2:
		if m.PathTemplate == "" {
			break
		}
		w.PathTemplate = map[string]string{
			"/cart/{id}": "/c/{id}", "/cart/{id}/items": "/{id}", "/{x}/{y}": "/{y}/{x}", "/{x}/*": "/v1/{x}/z", "/a/{rest=**}": "/{rest}",
			"/{x=a/*}/{y}": "/{y}/{x}", "/{x}/items/*.mp4": "/{x}.mp4",
		}[m.PathTemplate]
	}
	switch r.IntN(4) {
	case 0:
		w.Host = one(r, []string{"cart.internal", "endpoint"})
	case 1:
		w.HostFromHeader = one(r, []string{"x-a", "x-host"})
	}
	if *w == (config.Rewrite{}) {
		return nil
	}
	return w
}

// hasPrefix reports whether a match has a part of the path that Envoy replaces as well.
func hasPrefix(m *config.Match) bool { return m.Path+m.PathPrefix+m.PathSegments+m.PathRegex != "" }

func newRedirect(m *config.Match, r *rand.Rand) *config.Redirect {
	to := config.NewRedirect()
	to.Code = one(r, []int{301, 302, 303, 307, 308})
	switch r.IntN(5) {
	case 0:
		to.Path = one(r, []string{"/new", "/new?a=1", "/"})
	case 1:
		if hasPrefix(m) {
			to.PathPrefix = one(r, []string{"/", "/b", "/b/"})
		}
	case 2:
		s := one(r, substitutions)
		to.PathRegex, to.Substitution = s[0], s[1]
	}
	if in(2, r) {
		to.Scheme = one(r, []string{"https", "http"})
	}
	if in(2, r) {
		to.Host = one(r, []string{"other.test", "other.test:81", "[::1]"})
	}
	if in(4, r) {
		to.Port = one(r, []int{80, 443, 8443})
	}
	to.StripQuery = in(4, r)
	if to.Path+to.PathPrefix+to.PathRegex+to.Scheme+to.Host == "" && to.Port == 0 {
		to.StripQuery = true // else it leads nowhere else
	}
	return to
}
