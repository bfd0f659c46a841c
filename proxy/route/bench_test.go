package route_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/route"
)

// kinds are tables of n routes; the request to the i-th is in the same form.
var kinds = []struct {
	name    string
	match   func(i int) route.Match
	request func(i int) (line, host string)
}{
	{"hosts", func(i int) route.Match {
		return route.Match{Hosts: []string{fmt.Sprintf("service-%04d.service.consul", i)}}
	}, func(i int) (string, string) {
		return "GET /orders/17?x=y", fmt.Sprintf("service-%04d.service.consul:8080", i)
	}},
	{"prefixes", func(i int) route.Match { return route.Match{PathPrefix: fmt.Sprintf("/service-%04d/", i)} },
		func(i int) (string, string) {
			return fmt.Sprintf("GET /service-%04d/orders/17?x=y", i), "web.test:8080"
		}},
	{"mixed", func(i int) route.Match {
		m := route.Match{PathPrefix: fmt.Sprintf("/api/v1/part-%04d/", i), Methods: []string{"GET", "HEAD"}}
		switch i % 3 {
		case 0:
			m.Hosts = []string{fmt.Sprintf("shop-%d.test", i%100), fmt.Sprintf("*.shop-%d.test", i%100)}
		case 1:
			m.Hosts = []string{"*.test"}
		}
		return m
	}, func(i int) (string, string) {
		return fmt.Sprintf("GET /api/v1/part-%04d/orders/17", i), fmt.Sprintf("www.shop-%d.test", i%100)
	}},
	{"conditions", func(i int) route.Match { // three on fields, one on the query, for paths of a host
		return route.Match{
			Hosts: []string{fmt.Sprintf("shop-%d.test", i%100)}, PathPrefix: fmt.Sprintf("/api/v1/part-%04d/", i), Methods: []string{"GET", "HEAD"},
			Headers: []route.Value{{Name: "x-user-group", Exact: "beta"}, {Name: "x-build", Range: &[2]int64{100, 200}}, {Name: "x-old", Absent: true}},
			Query:   []route.Value{{Name: "v", Exact: "2"}},
		}
	}, func(i int) (string, string) {
		return fmt.Sprintf("GET /api/v1/part-%04d/orders/17?v=2", i), fmt.Sprintf("shop-%d.test", i%100)
	}},
	{"values", func(i int) route.Match { // no two of them ask for the same
		return route.Match{
			PathPrefix: fmt.Sprintf("/api/v1/part-%04d/", i),
			Headers:    []route.Value{{Name: "x-tenant", Exact: fmt.Sprintf("tenant-%04d", i)}, {Name: "x-zone", Prefix: fmt.Sprintf("zone-%04d", i)}, {Name: "x-old", Absent: true}},
		}
	}, func(i int) (string, string) {
		return fmt.Sprintf("GET /api/v1/part-%04d/orders/17", i), fmt.Sprintf("web.test\r\nX-Tenant: tenant-%04d\r\nX-Zone: zone-%04d-a", i, i)
	}},
	{"tenants", func(i int) route.Match { // one path, told apart by a field
		return route.Match{PathPrefix: "/api/", Headers: []route.Value{{Name: "x-debug", Present: true}, {Name: "x-tenant", Exact: fmt.Sprintf("tenant-%04d", i)}}}
	}, func(i int) (string, string) {
		return "GET /api/orders/17", fmt.Sprintf("web.test\r\nX-Tenant: tenant-%04d", i)
	}},
}

// benchFields are those that every request has.
const benchFields = "\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\nX-User-Group: beta\r\nX-Debug: 1\r\nX-Build: 142"

func BenchmarkMatch(b *testing.B) {
	for _, kind := range kinds {
		for _, n := range []int{1, 10, 1000, 10000} {
			var matches []route.Match
			for i := range n {
				matches = append(matches, kind.match(i))
			}
			table := route.Compile(matches)
			for _, hit := range []struct {
				name string
				at   func(i int) int
			}{
				{"first", func(int) int { return 0 }},
				{"last", func(int) int { return n - 1 }},
				{"none", func(int) int { return n }},
				{"any", func(i int) int { return i * 7919 % n }}, // another with each request
			} {
				heads := make([]*message.Head, min(n, 1024))
				for i := range heads {
					line, host := kind.request(hit.at(i))
					heads[i] = head(b, line, host+benchFields)
				}
				b.Run(fmt.Sprintf("%s/%d/%s", kind.name, n, hit.name), func(b *testing.B) {
					b.ReportAllocs()
					for i, k := 0, 0; b.Loop(); i++ {
						if k++; k == len(heads) {
							k = 0
						}
						if got := table.Match(&route.Request{Head: heads[k]}); (got < 0) != (hit.name == "none") {
							b.Fatal(got)
						}
					}
				})
			}
		}
	}
}

// BenchmarkConditions is a match with twelve conditions, all of which hold, and with each of
// them.
func BenchmarkConditions(b *testing.B) {
	regex, err := route.ParseRegex("curl/.*")
	if err != nil {
		b.Fatal(err)
	}
	all := route.Match{
		Hosts: []string{"web.test"}, PathPrefix: "/", Methods: []string{"GET", "HEAD"},
		Headers: []route.Value{
			{Name: "user-agent", Regex: regex}, {Name: "x-user-group", Exact: "beta"}, {Name: "x-debug", Present: true},
			{Name: "x-build", Range: &[2]int64{100, 200}}, {Name: "x-old", Absent: true},
		},
		Cookies: []route.Value{{Name: "group", Prefix: "b"}}, Clients: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Not: &route.Match{PathSegments: "/admin", Query: []route.Value{{Name: "v", Exact: "1"}}},
	}
	kinds := []struct {
		name  string
		match route.Match
	}{
		{"all", all}, {"none", route.Match{}}, {"host", route.Match{Hosts: all.Hosts}}, {"methods", route.Match{Methods: all.Methods}}, {"regex", route.Match{Headers: all.Headers[:1]}},
		{"exact", route.Match{Headers: all.Headers[1:2]}}, {"range", route.Match{Headers: all.Headers[3:4]}}, {"absent", route.Match{Headers: all.Headers[4:]}},
		{"cookie", route.Match{Cookies: all.Cookies}}, {"clients", route.Match{Clients: all.Clients}}, {"not", route.Match{Not: all.Not}},
	}
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			table := route.Compile([]route.Match{kind.match})
			q := route.Request{Head: head(b, "GET /98", "web.test:8080"+benchFields+"\r\nCookie: session=4711; group=beta"), Client: netip.MustParseAddr("127.0.0.1")}
			b.ReportAllocs()
			for b.Loop() {
				if table.Match(&q) != 0 {
					b.Fatal("no match")
				}
			}
		})
	}
}
