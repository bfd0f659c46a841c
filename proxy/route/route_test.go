package route_test

import (
	"math"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/route"
)

// head decodes a request line, and a Host field unless host is empty.
func head(t testing.TB, request, host string) *message.Head {
	t.Helper()
	version, field := "HTTP/1.1", "Host: "+host+"\r\n"
	if host == "" {
		version, field = "HTTP/1.0", ""
	}
	d := http1.HeadDecoder{Limits: http1.Limits{HeadBytes: 8 << 10, Fields: 10}}
	h := new(message.Head)
	wire := []byte(request + " " + version + "\r\n" + field + "\r\n")
	n, err := d.Request(wire, h)
	if err != nil || n == 0 {
		t.Fatalf("%q: %d, %v", wire, n, err)
	}
	return h
}

func TestMatch(t *testing.T) {
	tests := []struct {
		match         route.Match
		request, host string
		want          bool
	}{
		{route.Match{}, "GET /", "web.test", true},
		{route.Match{}, "GET /", "", true},
		{route.Match{}, "OPTIONS *", "web.test", true},
		{route.Match{}, "BREW /pot", "web.test", true},

		{route.Match{Path: "/a"}, "GET /a", "web.test", true},
		{route.Match{Path: "/a"}, "GET /a?b=c", "web.test", true},
		{route.Match{Path: "/a"}, "GET http://web.test/a?b", "web.test", true},
		{route.Match{Path: "/a"}, "GET /a/", "web.test", false},
		{route.Match{Path: "/a"}, "GET /A", "web.test", false},
		{route.Match{Path: "/a"}, "GET /%61", "web.test", false}, // compared as it was sent
		{route.Match{Path: "/"}, "GET http://web.test", "web.test", true},

		{route.Match{PathPrefix: "/api/"}, "GET /api/", "web.test", true},
		{route.Match{PathPrefix: "/api/"}, "GET /api/x?y", "web.test", true},
		{route.Match{PathPrefix: "/api/"}, "GET /api", "web.test", false},
		{route.Match{PathPrefix: "/api"}, "GET /apis", "web.test", true},
		{route.Match{PathPrefix: "/api"}, "GET /x/api", "web.test", false},
		{route.Match{PathPrefix: "/api"}, "GET /x?/api", "web.test", false},
		{route.Match{PathPrefix: "/"}, "OPTIONS *", "web.test", false},

		{route.Match{Hosts: []string{"web.test"}}, "GET /", "web.test", true},
		{route.Match{Hosts: []string{"web.test"}}, "GET /", "WEB.test:8080", true},
		{route.Match{Hosts: []string{"Web.Test"}}, "GET /", "web.test", true},
		{route.Match{Hosts: []string{"web.test"}}, "GET /", "other.test", false},
		{route.Match{Hosts: []string{"web.test"}}, "GET /", "a.web.test", false},
		{route.Match{Hosts: []string{"web.test"}}, "GET /", "", false},
		{route.Match{Hosts: []string{"a.test", "web.test"}}, "GET /", "web.test", true},
		// The target's authority beats the Host field (RFC 9112 section 3.2.2).
		{route.Match{Hosts: []string{"web.test"}}, "GET http://web.test/", "other.test", true},
		{route.Match{Hosts: []string{"other.test"}}, "GET http://web.test/", "other.test", false},
		{route.Match{Hosts: []string{"*.web.test"}}, "GET /", "a.web.test", true},
		{route.Match{Hosts: []string{"*.web.test"}}, "GET /", "a.b.WEB.test:1", true},
		{route.Match{Hosts: []string{"*.web.test"}}, "GET /", "web.test", false},
		{route.Match{Hosts: []string{"*.web.test"}}, "GET /", ".web.test", false},
		{route.Match{Hosts: []string{"*.web.test"}}, "GET /", "aweb.test", false},
		// The dot that makes a name absolute counts as none, on either side.
		{route.Match{Hosts: []string{"web.test"}}, "GET /", "web.test.", true},
		{route.Match{Hosts: []string{"web.test"}}, "GET /", "Web.Test.:80", true},
		{route.Match{Hosts: []string{"web.test."}}, "GET /", "web.test", true},
		{route.Match{Hosts: []string{"web.test."}}, "GET /", "web.test.", true},
		{route.Match{Hosts: []string{"web.test"}}, "GET http://web.test.:80/", "x", true},
		{route.Match{Hosts: []string{"*.web.test"}}, "GET /", "a.web.test.", true},
		{route.Match{Hosts: []string{"*.web.test."}}, "GET /", "a.web.test", true},
		{route.Match{Hosts: []string{"*.web.test."}}, "GET /", "a.web.test.:80", true},
		{route.Match{Hosts: []string{"*.web.test"}}, "GET /", "web.test.", false},
		{route.Match{Hosts: []string{"*.web.test"}}, "GET /", ".web.test.", false},
		// Neither of these is a name.
		{route.Match{Hosts: []string{"web.test"}}, "GET /", "web.test..", false},
		{route.Match{Hosts: []string{"web.test"}}, "GET /", ".", false},
		{route.Match{Hosts: []string{"*.test"}}, "GET /", ".", false},
		{route.Match{}, "GET /", ".", true},
		{route.Match{Hosts: []string{"127.0.0.1"}}, "GET /", "127.0.0.1:80", true},
		{route.Match{Hosts: []string{"[2001:db8::1]"}}, "GET /", "[2001:DB8::1]:80", true},
		{route.Match{Hosts: []string{"[2001:db8::1]"}}, "GET /", "[2001:db8::2]", false},

		{route.Match{Methods: []string{"GET", "HEAD"}}, "HEAD /", "web.test", true},
		{route.Match{Methods: []string{"GET", "HEAD"}}, "POST /", "web.test", false},
		{route.Match{Methods: []string{"GET"}}, "get /", "web.test", false}, // methods have a case
		{route.Match{Methods: []string{"BREW"}}, "BREW /", "web.test", true},

		{route.Match{PathPrefix: "/a", Hosts: []string{"web.test"}, Methods: []string{"GET"}}, "GET /a", "web.test", true},
		{route.Match{PathPrefix: "/a", Hosts: []string{"web.test"}, Methods: []string{"GET"}}, "GET /b", "web.test", false},
		{route.Match{PathPrefix: "/a", Hosts: []string{"web.test"}, Methods: []string{"GET"}}, "GET /a", "x.test", false},
		{route.Match{PathPrefix: "/a", Hosts: []string{"web.test"}, Methods: []string{"GET"}}, "PUT /a", "web.test", false},
	}
	for _, tt := range tests {
		want := -1
		if tt.want {
			want = 0
		}
		if got := route.Compile([]route.Match{tt.match}).Match(&route.Request{Head: head(t, tt.request, tt.host)}); got != want {
			t.Errorf("%+v with %q to %q: %d, want %d", tt.match, tt.request, tt.host, got, want)
		}
	}
}

func TestTheFirstThatMatchesIsTaken(t *testing.T) {
	table := route.Compile([]route.Match{
		{Path: "/api/health"},
		{PathPrefix: "/api/", Methods: []string{"GET"}},
		{PathPrefix: "/api/"},
		{Hosts: []string{"admin.test"}},
		{PathPrefix: "/api/v2/"}, // never reached
	})
	for request, want := range map[string]int{
		"GET /api/health a.test":  0,
		"GET /api/x a.test":       1,
		"POST /api/x a.test":      2,
		"POST /api/v2/x a.test":   2,
		"GET /x admin.test":       3,
		"GET /api/x admin.test":   1,
		"GET /x a.test":           -1,
		"PATCH /api/healthz a":    2,
		"GET /api/healthz a.test": 1,
	} {
		i := strings.LastIndexByte(request, ' ')
		if got := table.Match(&route.Request{Head: head(t, request[:i], request[i+1:])}); got != want {
			t.Errorf("%s: %d, want %d", request, got, want)
		}
	}
	if got := route.Compile(nil).Match(&route.Request{Head: head(t, "GET /", "a")}); got != -1 {
		t.Errorf("an empty table: %d, want -1", got)
	}
}

// What was compiled does not change with what it was compiled from.
func TestTableIsImmutable(t *testing.T) {
	m := route.Match{Hosts: []string{"web.test"}, Methods: []string{"GET"}}
	table := route.Compile([]route.Match{m})
	m.Hosts[0], m.Methods[0] = "x", "X"
	if got := table.Match(&route.Request{Head: head(t, "GET /", "web.test")}); got != 0 {
		t.Errorf("%d, want 0", got)
	}
}

// longMethod is longer than what the compiler finds room for on the stack.
const longMethod = "A-METHOD-WHOSE-NAME-IS-LONGER-THAN-MOST-OTHERS"

func TestMatchAllocatesNothing(t *testing.T) {
	table := route.Compile([]route.Match{
		{Hosts: []string{"*.x.test"}, Methods: []string{"PUT"}}, {PathPrefix: "/api/", Hosts: []string{"web.test", "*.web.test"}, Methods: []string{"POST", longMethod}},
	})
	h := head(t, longMethod+" /api/x?y=z", "a.web.test:8080")
	if n := testing.AllocsPerRun(100, func() {
		if table.Match(&route.Request{Head: h}) != 1 {
			t.Error("no match")
		}
	}); n != 0 {
		t.Errorf("%v allocations a match", n)
	}
}

// Conditions allocate nothing, also where a value is not what they compare it with.
func TestConditionsAllocateNothing(t *testing.T) {
	regex, err := route.ParseRegex("t.*")
	if err != nil {
		t.Fatal(err)
	}
	matches := []route.Match{{Headers: []route.Value{{Name: "x-build", Range: &[2]int64{100, 200}}}}}
	for i := range 10 {
		matches = append(matches, route.Match{Headers: []route.Value{{Name: "x-tenant", Exact: strings.Repeat("x", i+1)}}})
	}
	matches = append(matches, route.Match{
		PathSegments: "/a", Not: &route.Match{PathPrefix: "/a/c"},
		Headers: []route.Value{{Name: "x-tenant", Regex: regex}, {Name: "x-old", Absent: true}},
		Query:   []route.Value{{Name: "v", Suffix: "2"}}, Cookies: []route.Value{{Name: "c", Contains: "B", FoldCase: true}},
	})
	table := route.Compile(matches)
	h := head(t, "GET /a/b?u=1&v=2", "a\r\nX-Build: many\r\nX-Tenant: ten\r\nCookie: d=1; c=abc")
	if n := testing.AllocsPerRun(100, func() {
		if got := table.Match(&route.Request{Head: h}); got != len(matches)-1 {
			t.Errorf("%d, want the last", got)
		}
	}); n != 0 {
		t.Errorf("%v allocations a match", n)
	}
}

func TestRanges(t *testing.T) {
	for _, tt := range []struct {
		value    string
		from, to int64
		want     bool
	}{
		{"100", 100, 200, true}, {"200", 100, 200, false}, {"-3", -5, 0, true}, {"+7", 7, 8, true}, {"007", 7, 8, true}, {"", 0, 10, false}, {"-", -1, 1, false},
		{"7a", 7, 8, false}, {"0x7", 0, 10, false}, {"9223372036854775806", math.MaxInt64 - 1, math.MaxInt64, true}, {"9223372036854775808", math.MinInt64, math.MaxInt64, false},
		{"-9223372036854775808", math.MinInt64, 0, true}, {"-9223372036854775809", math.MinInt64, 0, false}, {"99999999999999999999", 0, math.MaxInt64, false},
	} {
		table := route.Compile([]route.Match{{Headers: []route.Value{{Name: "x-a", Range: &[2]int64{tt.from, tt.to}}}}})
		if got := table.Match(&route.Request{Head: head(t, "GET /", "a\r\nX-A: "+tt.value)}) == 0; got != tt.want {
			t.Errorf("%q from %d to %d: %v, want %v", tt.value, tt.from, tt.to, got, tt.want)
		}
	}
}
