package route_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/route"
)

// linear is what [route.Table] means, without any thought of speed.
func linear(matches []route.Match, h *message.Head) int {
	path, host := string(h.Path()), string(message.Hostname(h.Host()))
	return slices.IndexFunc(matches, func(m route.Match) bool {
		return (m.Path == "" || path == m.Path) && strings.HasPrefix(path, m.PathPrefix) &&
			!slices.ContainsFunc(m.When, func(holds route.Predicate) bool { return !holds(h) }) &&
			(len(m.Methods) == 0 || slices.Contains(m.Methods, string(h.MethodText()))) &&
			(len(m.Hosts) == 0 || slices.ContainsFunc(m.Hosts, func(pattern string) bool { return isHost(host, pattern) }))
	})
}

func isHost(host, pattern string) bool {
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		suffix = message.BareHost(suffix)
		n := len(host) - len(suffix)
		return n > 0 && message.EqualFold(host[n:], suffix)
	}
	return message.EqualFold(host, message.Hostname(pattern))
}

// What tables and requests are made of: little, so that much overlaps.
var (
	hostParts = []string{
		"", "a", "b", "A", "ab", ".", "a.b", "web.test", "a.web.test", "b.a.web.test", "WEB.test", "aweb.test", "xn--e1a.test",
		"web.test.", "a..", "127.0.0.1", "[2001:db8::1]", "[2001:DB8::1]", "[2001:db8::2]", "2001:db8::1", "a:80", "web.test:8080", "[", "[::", "é", "K",
	}
	suffixes    = []string{"", ".test", ".TEST", ".web.test", ".a.web.test", ".b", "b", ".", "..", ".test.", ":1", ".1"}
	pathParts   = []string{"/", "a", "A", "b", "aa", "/a", "/a/", "/b", "api", "%61", "*", "é"}
	methodParts = []string{"GET", "HEAD", "POST", "get", "BREW", longMethod}
)

func one(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

func some(r *rand.Rand, most int, make func() string) (all []string) {
	for range r.IntN(most + 1) {
		all = append(all, make())
	}
	return all
}

func randomMatch(r *rand.Rand) (m route.Match) {
	path := func() string { return "/" + strings.Join(some(r, 4, func() string { return one(r, pathParts) }), "") }
	if r.IntN(3) == 0 {
		m.Path = path()
	}
	if r.IntN(2) == 0 {
		m.PathPrefix = path()
	}
	if r.IntN(8) == 0 {
		m.PathPrefix = m.Path
	}
	m.Hosts = some(r, 3, func() string {
		if r.IntN(2) == 0 {
			return "*" + one(r, suffixes)
		}
		return one(r, hostParts)
	})
	m.Methods = some(r, 2, func() string { return one(r, methodParts) })
	for range max(r.IntN(4)-1, 0) {
		wanted := r.IntN(2) == 0
		m.When = append(m.When, func(h *message.Head) bool { return h.Has(message.Via) == wanted })
	}
	return m
}

func TestTableIsWhatALinearSearchFinds(t *testing.T) {
	const seeds = 400
	matched := 0
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 1))
		var matches []route.Match
		for range 1 + r.IntN(60) {
			matches = append(matches, randomMatch(r))
		}
		table := route.Compile(matches)
		for range 200 {
			target := "/" + strings.Join(some(r, 5, func() string { return one(r, pathParts) }), "")
			host := one(r, hostParts)
			if r.IntN(2) == 0 {
				host += one(r, suffixes)
			}
			h := headOf(one(r, methodParts), target, host)
			if r.IntN(2) == 0 {
				h.Add(message.Via, "via", "1.1 test")
			}
			got, want := table.Match(h), linear(matches, h)
			if got != want {
				t.Fatalf("seed %d: %s %s to %q: %d, want %d\n%s", seed, h.MethodText(), target, host, got, want, show(matches))
			}
			if want >= 0 {
				matched++
			}
		}
	}
	if share := float64(matched) / (seeds * 200); share < 0.2 || share > 0.98 {
		t.Errorf("%.2f of the requests matched: the test sees little", share)
	}
}

// headOf is a head as a codec leaves it, of parts that no codec would let pass.
func headOf(method, path, host string) *message.Head {
	h := new(message.Head)
	line := method + " " + path + " "
	h.Begin([]byte(line + "Host: " + host))
	target := message.Span{Off: uint32(len(method) + 1), Len: uint32(len(path))}
	h.SetRequestLine(message.Span{Off: 0, Len: uint32(len(method))}, target, message.Span{}, message.Span{}, target, message.Span{})
	h.AddDecoded(message.Host, message.Span{Off: uint32(len(line)), Len: 4}, message.Span{Off: uint32(len(line) + 6), Len: uint32(len(host))})
	return h
}

func show(matches []route.Match) string {
	var b strings.Builder
	for i, m := range matches {
		fmt.Fprintf(&b, "%3d path %q, prefix %q, hosts %q, methods %q, %d predicates\n", i, m.Path, m.PathPrefix, m.Hosts, m.Methods, len(m.When))
	}
	return b.String()
}

// FuzzMatch reads a table of lines "path prefix host,host method,method", in
// which "-" is nothing.
func FuzzMatch(f *testing.F) {
	f.Add("- /a *.test,web.test GET\n/a/b - - -\n- - - POST,GET", "GET", "/a/b", "www.web.test:80")
	f.Add("- / [2001:db8::1] -\n- /x *. -\n- - * -", "GET", "/", "[2001:DB8::1]:8080")
	f.Add("- /a - GET\n- /a - HEAD,GET\n- /a - -\n- /ab - -\n- - - -", "HEAD", "/abc", "")
	f.Add("/a /b - -\n/ab /a -a -\n", "GET", "/ab", "-A")
	f.Fuzz(func(t *testing.T, table, method, path, host string) {
		var matches []route.Match
		for line := range strings.Lines(table) {
			fields := append(strings.Split(strings.TrimSuffix(line, "\n"), " "), "-", "-", "-", "-")
			for i := range fields {
				fields[i] = strings.TrimPrefix(fields[i], "-")
			}
			list := func(s string) []string {
				if s == "" {
					return nil
				}
				return strings.Split(s, ",")
			}
			matches = append(matches, route.Match{Path: fields[0], PathPrefix: fields[1], Hosts: list(fields[2]), Methods: list(fields[3])})
		}
		h := headOf(method, path, host)
		if got, want := route.Compile(matches).Match(h), linear(matches, h); got != want {
			t.Errorf("%q %q to %q: %d, want %d\n%s", method, path, host, got, want, show(matches))
		}
	})
}
