package route_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/route"
)

func TestCovers(t *testing.T) {
	v := func(values ...route.Value) route.Match { return route.Match{Headers: values} }
	type m = route.Match
	for name, tt := range map[string]struct {
		earlier, later route.Match
		want           bool
	}{
		"everything":                {m{}, m{Path: "/a"}, true},
		"nothing":                   {m{Path: "/a"}, m{}, false},
		"a prefix of a path":        {m{PathPrefix: "/a"}, m{Path: "/a/b"}, true},
		"a prefix of a prefix":      {m{PathPrefix: "/a"}, m{PathPrefix: "/a/b"}, true},
		"a longer prefix":           {m{PathPrefix: "/a/b"}, m{PathPrefix: "/a"}, false},
		"a prefix of segments":      {m{PathPrefix: "/a"}, m{PathSegments: "/a"}, true},
		"a prefix with a slash":     {m{PathPrefix: "/a/"}, m{PathSegments: "/a"}, false},
		"a prefix of calls":         {m{PathPrefix: "/shop.Cart/"}, m{GRPC: &route.Call{Service: "shop.Cart"}}, true},
		"a prefix of an expression": {m{PathPrefix: "/a"}, m{PathRegex: regex("/a/[0-9]+")}, true},
		"segments of segments":      {m{PathSegments: "/a"}, m{PathSegments: "/a/b"}, true},
		"segments of a prefix":      {m{PathSegments: "/a"}, m{PathPrefix: "/a"}, false},
		"segments of a deep prefix": {m{PathSegments: "/a"}, m{PathPrefix: "/a/"}, true},
		"the same expression":       {m{PathRegex: regex("/a.*")}, m{PathRegex: regex("/a.*")}, true},
		"an expression of a path":   {m{PathRegex: regex("/a.*")}, m{Path: "/ab"}, true},
		"any path":                  {m{PathRegex: regex(".*")}, m{PathPrefix: "/a"}, true},
		"a host of all":             {m{Hosts: []string{"a.test"}}, m{}, false},
		"a wildcard of a host":      {m{Hosts: []string{"*.test"}}, m{Hosts: []string{"a.test", "b.TEST"}}, true},
		"a wildcard of a wildcard":  {m{Hosts: []string{"*.test"}}, m{Hosts: []string{"*.a.test"}}, true},
		"a host of a wildcard":      {m{Hosts: []string{"a.test"}}, m{Hosts: []string{"*.test"}}, false},
		"more methods":              {m{Methods: []string{"GET", "PUT"}}, m{Methods: []string{"PUT"}}, true},
		"fewer methods":             {m{Methods: []string{"GET"}}, m{Methods: []string{"GET", "PUT"}}, false},
		"no preflights":             {m{Methods: []string{"GET"}}, m{Methods: []string{"GET"}, Preflights: true}, false},
		"another condition":         {v(route.Value{Name: "a", Present: true}), v(route.Value{Name: "b", Present: true}), false},
		"fewer conditions":          {v(route.Value{Name: "a", Present: true}), v(route.Value{Name: "b", Present: true}, route.Value{Name: "A", Exact: "1"}), true},
		"a prefix of a value":       {v(route.Value{Name: "a", Prefix: "b"}), v(route.Value{Name: "a", Exact: "beta"}), true},
		"not that value":            {v(route.Value{Name: "a", Exact: "b", Not: true}), v(route.Value{Name: "a", Exact: "beta"}), true},
		"no value":                  {v(route.Value{Name: "a", Absent: true}), v(route.Value{Name: "a", Exact: "beta"}), false},
		"a wider network":           {m{Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, m{Clients: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}, true},
		"a narrower network":        {m{Clients: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}, m{Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, false},
		"a larger share":            {m{Share: route.Percent(20)}, m{Share: route.Percent(10)}, true},
		"a share of all":            {m{Share: route.Percent(20)}, m{}, false},
		"all calls":                 {m{GRPC: &route.Call{}}, m{GRPC: &route.Call{Service: "shop.Cart"}}, true},
		"the same exclusion":        {m{Not: &m{Path: "/a"}}, m{PathPrefix: "/a", Not: &m{PathPrefix: "/a"}}, true},
		"another exclusion":         {m{Not: &m{Path: "/a"}}, m{PathPrefix: "/a", Not: &m{Path: "/b"}}, false},
	} {
		if got := tt.earlier.Covers(&tt.later); got != tt.want {
			t.Errorf("%s: covers %t, want %t", name, got, tt.want)
		}
	}
}

// A request that a match takes is taken by whatever covers the match; and none is taken by
// one that never matches.
func TestCoversIsNeverWrong(t *testing.T) {
	covered, never := 0, 0
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 4))
		var matches []route.Match
		for range 30 {
			m := randomMatch(r)
			switch r.IntN(5) { // few conditions, of which one covers another
			case 4:
				m = route.Match{PathSegments: m.PathSegments, PathRegex: m.PathRegex, PathTemplate: m.PathTemplate}
			case 0:
				m = route.Match{PathPrefix: m.PathPrefix, Methods: m.Methods}
			case 1:
				m = route.Match{Headers: m.Headers, Hosts: m.Hosts}
			case 2:
				m = route.Match{Query: m.Query, Path: m.Path, Share: m.Share, Clients: m.Clients}
			}
			if r.IntN(6) == 0 {
				not := randomMatch(r)
				m.Not = &route.Match{Path: not.Path, PathPrefix: not.PathPrefix, Headers: not.Headers}
			}
			if r.IntN(4) == 0 {
				m.Methods, m.Preflights = []string{"GET"}, r.IntN(2) == 0
			}
			matches = append(matches, m)
		}
		var requests []*route.Request
		for range 60 {
			q := randomRequest(r)
			if r.IntN(4) == 0 {
				q.Head = headOf("OPTIONS", string(q.Head.Target()), string(q.Head.Host()))
				q.Head.Method = message.OPTIONS
				q.Head.Add(message.Unknown, "origin", "https://a.test")
				q.Head.Add(message.Unknown, "access-control-request-method", one(r, methodParts))
			}
			requests = append(requests, q)
		}
		takes := make([][]bool, len(matches))
		for i := range matches {
			table := route.Compile(matches[i : i+1])
			for _, q := range requests {
				takes[i] = append(takes[i], table.Match(q) >= 0)
			}
			for k := range requests {
				if takes[i][k] && matches[i].Never() {
					t.Fatalf("seed %d: a match that never matches did: %+v", seed, matches[i])
				}
			}
			if matches[i].Never() {
				never++
			}
		}
		for i := range matches {
			for j := range matches {
				if i == j || !matches[i].Covers(&matches[j]) {
					continue
				}
				covered++
				for k, q := range requests {
					if takes[j][k] && !takes[i][k] {
						t.Fatalf("seed %d: %s %s to %q is taken by %d alone, which %d is said to cover\n%+v\n%+v", seed, q.Head.MethodText(), q.Head.Target(), q.Head.Host(), j, i, matches[j], matches[i])
					}
				}
			}
		}
	}
	if covered < 1000 || never < 10 {
		t.Errorf("%d matches covered others, %d never match: the test sees little", covered, never)
	}
}
