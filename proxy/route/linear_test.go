package route_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/pathtemplate"
	"github.com/hopscope/hopscope/proxy/route"
)

// linear is what [route.Table] means, without any thought of speed.
func linear(matches []route.Match, q *route.Request) int {
	return slices.IndexFunc(matches, func(m route.Match) bool {
		for _, holds := range conditions(&m, q) {
			if !holds {
				return false
			}
		}
		return m.Not == nil || !slices.Contains(conditions(m.Not, q), true)
	})
}

// conditions say of each condition of a match whether it holds.
func conditions(m *route.Match, q *route.Request) (all []bool) {
	h := q.Head
	path, host := string(h.Path()), string(message.Hostname(h.Host()))
	add := func(given bool, holds func() bool) {
		if given {
			all = append(all, holds())
		}
	}
	add(m.Path != "", func() bool { return path == m.Path })
	add(m.PathPrefix != "", func() bool { return strings.HasPrefix(path, m.PathPrefix) })
	add(m.PathSegments != "", func() bool { return strings.HasPrefix(path+"/", m.PathSegments+"/") })
	add(m.PathRegex != nil, func() bool { return m.PathRegex.Match([]byte(path)) })
	add(m.PathTemplate != nil, func() bool { return m.PathTemplate.Match([]byte(path), nil) })
	add(len(m.Methods) > 0, func() bool { return slices.Contains(m.Methods, string(h.MethodText())) })
	add(len(m.Hosts) > 0, func() bool {
		return slices.ContainsFunc(m.Hosts, func(pattern string) bool { return isHost(host, pattern) })
	})
	add(m.Share != nil, func() bool { return q.Random%1_000_000 < uint64(*m.Share) })
	add(len(m.Clients) > 0, func() bool {
		return slices.ContainsFunc(m.Clients, func(n netip.Prefix) bool { return n.Contains(q.Client) })
	})
	add(m.Identities != nil, func() bool { return q.Certificate != nil && m.Identities(q.Certificate) })
	if m.GRPC != nil {
		kind, _ := h.Get(message.ContentType)
		service, method := "", ""
		if i := strings.LastIndexByte(path, '/'); i > 0 {
			service, method = path[1:i], path[i+1:]
		}
		all = append(all, h.Method == message.POST && string(kind) == "application/grpc" && (m.GRPC.Service == "" || service == m.GRPC.Service) && (m.GRPC.Method == "" || method == m.GRPC.Method))
	}
	for _, v := range m.Headers {
		var lines []string
		for i := range h.Fields {
			if f := &h.Fields[i]; strings.EqualFold(string(h.Bytes(f.Name)), v.Name) {
				lines = append(lines, string(h.Bytes(f.Value)))
			}
		}
		all = append(all, has(v, strings.Join(lines, ","), len(lines) > 0))
	}
	query, _ := url.ParseQuery(string(h.Query()))
	for _, v := range m.Query {
		all = append(all, has(v, query.Get(v.Name), query.Has(v.Name)))
	}
	cookies, _ := h.Get(message.Cookie)
	for _, v := range m.Cookies {
		value := ""
		there := false
		for pair := range strings.SplitSeq(string(cookies), "; ") {
			if name, text, ok := strings.Cut(pair, "="); ok && name == v.Name && !there {
				value, there = text, true
			}
		}
		all = append(all, has(v, value, there))
	}
	return all
}

// has says whether a value is as it is asked for.
func has(v route.Value, text string, there bool) bool {
	if v.FoldCase && v.Regex == nil {
		text, v.Exact, v.Prefix, v.Suffix, v.Contains = strings.ToLower(text), strings.ToLower(v.Exact), strings.ToLower(v.Prefix), strings.ToLower(v.Suffix), strings.ToLower(v.Contains)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case v.Absent:
		return !there
	case v.Present:
		return there
	case v.Regex != nil:
		return there && v.Regex.Match([]byte(text)) != v.Not
	case v.Range != nil:
		return there && (err == nil && v.Range[0] <= n && n < v.Range[1]) != v.Not
	case v.Exact != "":
		return there && (text == v.Exact) != v.Not
	case v.Prefix != "":
		return there && strings.HasPrefix(text, v.Prefix) != v.Not
	case v.Suffix != "":
		return there && strings.HasSuffix(text, v.Suffix) != v.Not
	}
	return there && strings.Contains(text, v.Contains) != v.Not
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

// Parts of what the newer conditions are made of.
var (
	valueParts = []string{"a", "b", "A", "ab", "ba", "1", "2", "10", "-1", "beta"}
	valueNames = []string{"x-a", "X-B", "user-agent", "v"}
	regexes    = []string{"/a.*", "/(a|b)+", "a|ab", ".*b", "(?i)/A.*", "[0-9]+", "/api/?", ""}
	templates  = []string{"/{x}", "/a/*", "/**", "/a/{x=**}/b", "/*.b", "/{x}/a"}
	networks   = []string{"10.0.0.0/8", "10.1.0.0/16", "::1/128", "0.0.0.0/0"}
	services   = []string{"a", "b", "api"}
)

func randomValue(r *rand.Rand) route.Value {
	v := route.Value{Name: one(r, valueNames), FoldCase: r.IntN(4) == 0, Not: r.IntN(4) == 0}
	switch r.IntN(9) {
	case 0, 1:
		v.Exact = one(r, valueParts)
	case 2:
		v.Prefix = one(r, valueParts)
	case 3:
		v.Suffix = one(r, valueParts)
	case 4:
		v.Contains = one(r, valueParts)
	case 5:
		v.Regex = regex(one(r, regexes))
	case 6:
		v.Range = &[2]int64{int64(r.IntN(4) - 2), int64(r.IntN(12))}
	case 7:
		v.Present = true
	case 8:
		v.Absent = true
	}
	return v
}

func regex(text string) *route.Regex {
	re, err := route.ParseRegex(text)
	if err != nil {
		panic(err)
	}
	return re
}

func randomValues(r *rand.Rand) (all []route.Value) {
	for range max(r.IntN(5)-2, 0) {
		all = append(all, randomValue(r))
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
	if r.IntN(6) == 0 {
		m.PathSegments = strings.TrimRight(path(), "/")
	}
	if r.IntN(6) == 0 {
		m.PathRegex = regex(one(r, regexes))
	}
	if r.IntN(6) == 0 {
		m.PathTemplate, _ = pathtemplate.Parse(one(r, templates))
	}
	m.Hosts = some(r, 3, func() string {
		if r.IntN(2) == 0 {
			return "*" + one(r, suffixes)
		}
		return one(r, hostParts)
	})
	m.Methods = some(r, 2, func() string { return one(r, methodParts) })
	m.Headers, m.Query, m.Cookies = randomValues(r), randomValues(r), randomValues(r)
	if r.IntN(8) == 0 {
		m.Clients = []netip.Prefix{netip.MustParsePrefix(one(r, networks))}
	}
	if r.IntN(8) == 0 {
		name := one(r, services)
		m.Identities = func(c *x509.Certificate) bool { return c.Subject.CommonName == name }
	}
	if r.IntN(8) == 0 {
		m.GRPC = &route.Call{}
		if r.IntN(2) == 0 {
			m.GRPC.Service = one(r, services)
		}
		if r.IntN(2) == 0 {
			m.GRPC.Method = one(r, services)
		}
	}
	if r.IntN(8) == 0 {
		m.Share = route.Percent(float64(r.IntN(101)))
	}
	return m
}

func randomRequest(r *rand.Rand) *route.Request {
	target := "/" + strings.Join(some(r, 5, func() string { return one(r, pathParts) }), "")
	if r.IntN(2) == 0 {
		target += "?" + strings.Join(some(r, 3, func() string { return one(r, valueNames) + "=" + one(r, valueParts) }), "&")
	}
	host := one(r, hostParts)
	if r.IntN(2) == 0 {
		host += one(r, suffixes)
	}
	method := one(r, methodParts)
	h := headOf(method, target, host)
	if method == "POST" {
		h.Method = message.POST
	}
	for range r.IntN(5) {
		name := one(r, valueNames)
		h.Add(message.FieldByName([]byte(name)), name, one(r, valueParts))
	}
	if r.IntN(2) == 0 {
		h.Add(message.Cookie, "cookie", strings.Join(some(r, 3, func() string { return one(r, valueNames) + "=" + one(r, valueParts) }), "; "))
	}
	if r.IntN(4) == 0 {
		h.Add(message.ContentType, "content-type", "application/grpc")
	}
	q := &route.Request{Head: h, Random: r.Uint64(), Client: netip.MustParseAddr(one(r, []string{"10.1.2.3", "10.2.0.1", "::1", "192.0.2.1"}))}
	if r.IntN(2) == 0 {
		q.Certificate = &x509.Certificate{Subject: pkix.Name{CommonName: one(r, services)}}
	}
	return q
}

func TestTableIsWhatALinearSearchFinds(t *testing.T) {
	const seeds = 300
	matched := 0
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 1))
		var matches []route.Match
		for range 1 + r.IntN(60) {
			m := randomMatch(r)
			if r.IntN(3) == 0 {
				not := randomMatch(r)
				not.Share = nil
				m.Not = &not
			}
			if r.IntN(3) == 0 && len(m.Headers)+len(m.Query)+len(m.Cookies) > 0 { // many of one path: see byValue
				m = route.Match{Headers: m.Headers, Query: m.Query, Cookies: m.Cookies, Not: m.Not}
			}
			matches = append(matches, m)
		}
		table := route.Compile(matches)
		for range 200 {
			q := randomRequest(r)
			got, want := table.Match(q), linear(matches, q)
			if got != want {
				t.Fatalf("seed %d: %s %s to %q: %d, want %d\n%s", seed, q.Head.MethodText(), q.Head.Target(), q.Head.Host(), got, want, show(matches))
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
	only, query := target, message.Span{}
	if i := strings.IndexByte(path, '?'); i >= 0 {
		only.Len, query = uint32(i), message.Span{Off: target.Off + uint32(i) + 1, Len: uint32(len(path) - i - 1)}
	}
	h.SetRequestLine(message.Span{Off: 0, Len: uint32(len(method))}, target, message.Span{}, message.Span{}, only, query)
	h.AddDecoded(message.Host, message.Span{Off: uint32(len(line)), Len: 4}, message.Span{Off: uint32(len(line) + 6), Len: uint32(len(host))})
	return h
}

func show(matches []route.Match) string {
	var b strings.Builder
	for i, m := range matches {
		fmt.Fprintf(&b, "%3d %+v\n", i, m)
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
		q := &route.Request{Head: headOf(method, path, host)}
		if got, want := route.Compile(matches).Match(q), linear(matches, q); got != want {
			t.Errorf("%q %q to %q: %d, want %d\n%s", method, path, host, got, want, show(matches))
		}
	})
}
