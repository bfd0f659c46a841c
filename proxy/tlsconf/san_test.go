package tlsconf_test

import (
	"crypto/x509"
	"net/url"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/tlsconf"
)

// holder is a certificate with names: URIs where they have a scheme.
func holder(t testing.TB, names ...string) *x509.Certificate {
	t.Helper()
	c := &x509.Certificate{}
	for _, name := range names {
		if !strings.Contains(name, "://") {
			c.DNSNames = append(c.DNSNames, name)
			continue
		}
		u, err := url.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		c.URIs = append(c.URIs, u)
	}
	return c
}

func TestPatterns(t *testing.T) {
	for _, tt := range []struct {
		pattern string
		names   string
		want    bool
	}{
		{"web.test", "web.test", true},
		{"web.test", "a.test WEB.test", true},
		{"WEB.test", "web.test", true},
		{"web.test", "*.test", true},
		{"web.test", "a.web.test", false},
		{"web.test", "spiffe://web.test/web.test", false},
		{"*.web.test", "a.web.test", true},
		{"*.web.test", "A.WEB.test", true},
		{"*.web.test", "*.web.test", true},
		{"*.web.test.", "a.web.test", true},
		{"*.web.test", "web.test", false},
		{"*.web.test", ".web.test", false},
		{"*.web.test", "a.b.web.test", false},
		{"*.web.test", "aweb.test", false},
		{"spiffe://mesh/ns/a/web", "spiffe://mesh/ns/a/web", true},
		{"spiffe://mesh/ns/a/web", "spiffe://mesh/ns/a/web2", false},
		{"spiffe://mesh/ns/a/web", "spiffe://mesh/ns/a", false},
		{"spiffe://mesh/ns/a/web", "spiffe://other/ns/a/web", false},
		{"spiffe://mesh/ns/a/*", "spiffe://mesh/ns/a/web", true},
		{"spiffe://mesh/ns/a/*", "web.test spiffe://mesh/ns/a/web/1", true},
		{"spiffe://mesh/ns/a/*", "spiffe://mesh/ns/a", false},
		{"spiffe://mesh/ns/a/*", "spiffe://mesh/ns/ab/web", false},
		{"spiffe://mesh/ns/a/*", "spiffe://mesh/ns/a/../b/web", false},
		{"spiffe://mesh/ns/a/*", "spiffe://mesh/ns/a/%2e%2e/b", false},
		{"spiffe://mesh/ns/a/*", "spiffe://mesh/ns/a/", false},
		{"spiffe://mesh/*", "spiffe://mesh/web", true},
		{"spiffe://mesh/*", "spiffe://mesh", false},
		{"spiffe://mesh/*", "spiffe://mesh2/web", false},
		{"spiffe://mesh", "spiffe://mesh/web", true},
		{"spiffe://mesh", "spiffe://mesh", true},
		{"spiffe://mesh", "spiffe://mesh2/web", false},
		{"spiffe://mesh", "https://mesh/web", false},
		{"spiffe://mesh", "spiffe://user@mesh/web", false},
		{"spiffe://mesh", "spiffe://mesh:1/web", false},
		{"spiffe://mesh", "", false},
		// With two URIs it does not tell which it is for.
		{"spiffe://mesh", "spiffe://mesh/a spiffe://mesh/b", false},
	} {
		if got, err := tlsconf.Matches(tt.pattern, holder(t, strings.Fields(tt.names)...)); err != nil || got != tt.want {
			t.Errorf("%s of %q: %t, %v; want %t", tt.pattern, tt.names, got, err, tt.want)
		}
	}
}

func TestPatternErrors(t *testing.T) {
	for _, pattern := range []string{
		"", "*", "*.", "a.*", "*a.test", "*.*.test", "a b", "https://web.test", "/web", "spiffe://", "spiffe://*", "spiffe:///web",
		"spiffe://mesh/", "spiffe://mesh/*/web", "spiffe://mesh/a*", "spiffe://mesh/../a", "spiffe://mesh/a//b", "spiffe://MESH/a", "spiffe://mesh/a?b",
	} {
		if _, err := tlsconf.Matches(pattern, holder(t)); err == nil {
			t.Errorf("%q is a pattern", pattern)
		}
	}
}

// A pattern lets in what is below it, never what is beside it.
func FuzzPattern(f *testing.F) {
	for _, seed := range [][2]string{
		{"spiffe://mesh/ns/*", "spiffe://mesh/ns/a"}, {"spiffe://mesh", "spiffe://mesh/../a"},
		{"*.web.test", "a.web.test"}, {"web.test", "*.test"}, {"spiffe://mesh/a", "spiffe://mesh/%61"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		leaf := &x509.Certificate{DNSNames: []string{name}}
		if u, err := url.Parse(name); err == nil && u.Scheme != "" {
			leaf = &x509.Certificate{URIs: []*url.URL{u}}
			name = u.String()
		}
		got, err := tlsconf.Matches(pattern, leaf)
		if err != nil && got {
			t.Fatalf("%q is no pattern (%v), and matches", pattern, err)
		}
		if !got || leaf.URIs == nil {
			return
		}
		root := strings.TrimSuffix(pattern, "/*")
		if name != root && !strings.HasPrefix(name, root+"/") || strings.Contains(name, "..") {
			t.Errorf("%q lets in %q", pattern, name)
		}
	})
}
