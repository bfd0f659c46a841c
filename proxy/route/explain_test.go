package route_test

import (
	"crypto/x509"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/pathtemplate"
	"github.com/hopscope/hopscope/proxy/route"
)

// The first match that explains itself as matching is the one that the table takes.
func TestExplainAgreesWithTheTable(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 2))
		var matches []route.Match
		for range 1 + r.IntN(20) {
			m := randomMatch(r)
			if r.IntN(3) == 0 {
				not := randomMatch(r)
				not.Share = nil
				m.Not = &not
			}
			matches = append(matches, m)
		}
		table := route.Compile(matches)
		for range 40 {
			q := randomRequest(r)
			first := slices.IndexFunc(matches, func(m route.Match) bool {
				why, matches := m.Explain(q)
				if !matches && len(why.Keys) == 0 {
					t.Fatalf("seed %d: %s %s does not match, and nothing says why:\n%+v", seed, q.Head.MethodText(), q.Head.Target(), m)
				}
				return matches
			})
			if got := table.Match(q); got != first {
				t.Fatalf("seed %d: %s %s to %q: the table takes %d, and %d explains itself as the first\n%s", seed, q.Head.MethodText(), q.Head.Target(), q.Head.Host(), got, first, show(matches))
			}
		}
	}
}

func TestExplainSaysWhatTheRequestHas(t *testing.T) {
	template, err := pathtemplate.Parse("/cart/{id}")
	if err != nil {
		t.Fatal(err)
	}
	h := headOf("GET", "/shop?v=1", "Shop.test:80")
	h.Add(message.Unknown, "x-group", "alpha")
	h.Add(message.Unknown, "x-group", "gamma")
	h.Add(message.Cookie, "cookie", "c=d")
	q := &route.Request{Head: h, Client: netip.MustParseAddr("::ffff:10.1.2.3"), Random: 250_000, Certificate: &x509.Certificate{DNSNames: []string{"a.test", "b.test"}}}
	for keys, tt := range map[string]struct {
		match route.Match
		has   string
	}{
		"hosts":           {route.Match{Hosts: []string{"other.test"}}, "Shop.test"},
		"path":            {route.Match{Path: "/cart"}, "/shop"},
		"path_prefix":     {route.Match{PathPrefix: "/cart"}, "/shop"},
		"path_segments":   {route.Match{PathSegments: "/cart"}, "/shop"},
		"path_regex":      {route.Match{PathRegex: regex("/cart.*")}, "/shop"},
		"path_template":   {route.Match{PathTemplate: template}, "/shop"},
		"methods":         {route.Match{Methods: []string{"PUT"}}, "GET"},
		"grpc":            {route.Match{GRPC: &route.Call{}}, "GET /shop without content-type"},
		"headers x-a":     {route.Match{Headers: []route.Value{{Name: "x-a", Present: true}}}, "nothing"},
		"headers X-Group": {route.Match{Hosts: []string{"shop.test"}, Headers: []route.Value{{Name: "X-Group", Exact: "beta"}}}, "alpha,gamma"},
		"query v":         {route.Match{Query: []route.Value{{Name: "v", Exact: "2"}}}, "1"},
		"cookies c":       {route.Match{Cookies: []route.Value{{Name: "c", Exact: "e"}}}, "d"},
		"clients":         {route.Match{Clients: []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16")}}, "10.1.2.3"},
		"identities":      {route.Match{Identities: func(*x509.Certificate) bool { return false }}, "a.test, b.test"},
		"not path":        {route.Match{PathPrefix: "/", Not: &route.Match{Path: "/shop"}}, "/shop"},
		"percent":         {route.Match{Share: route.Percent(10)}, "25"},
	} {
		why, matches := tt.match.Explain(q)
		has := why.Has
		if !why.There {
			has = "nothing"
		}
		if matches || strings.Join(why.Keys, " ") != keys || has != tt.has {
			t.Errorf("%s: matches %t, unmet %q, the request has %q, want %q", keys, matches, why.Keys, has, tt.has)
		}
	}
}

// A condition that is new to Match has to be known to Explain, or it could not say that the
// condition is not met.
func TestExplainKnowsEveryCondition(t *testing.T) {
	q := &route.Request{Head: headOf("GET", "/", "shop.test"), Random: 999_999}
	template, err := pathtemplate.Parse("/cart/{id}")
	if err != nil {
		t.Fatal(err)
	}
	never := map[string]any{
		"Path": "/cart", "PathPrefix": "/cart", "PathSegments": "/cart", "PathRegex": regex("/cart"), "PathTemplate": template,
		"Hosts": []string{"other.test"}, "Methods": []string{"PUT"}, "Clients": []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		"Headers": []route.Value{{Name: "x", Present: true}}, "Query": []route.Value{{Name: "x", Present: true}}, "Cookies": []route.Value{{Name: "x", Present: true}},
		"Identities": func(*x509.Certificate) bool { return false }, "GRPC": &route.Call{}, "Share": route.Percent(0), "Not": &route.Match{PathPrefix: "/"},
	}
	for i := range reflect.TypeFor[route.Match]().NumField() {
		name := reflect.TypeFor[route.Match]().Field(i).Name
		if name == "Preflights" {
			continue // of Methods
		}
		var m route.Match
		value, ok := never[name]
		if !ok {
			t.Errorf("%s is new: add it here, and to the parts of a match", name)
			continue
		}
		reflect.ValueOf(&m).Elem().Field(i).Set(reflect.ValueOf(value))
		if why, matches := m.Explain(q); matches || len(why.Keys) == 0 {
			t.Errorf("%s is not met, which is not said: matches %t, keys %q", name, matches, why.Keys)
		}
	}
}
