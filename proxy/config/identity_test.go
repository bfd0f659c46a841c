package config

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// FuzzSAN compares what is taken for a SPIFFE id with what it is as a URI, and
// with the schema's pattern, which must be no stricter.
func FuzzSAN(f *testing.F) {
	for _, s := range []string{"a.b", "*.a", "spiffe://mesh", "spiffe://mesh/ns/default/*", "spiffe://mesh/../a", "SPIFFE://mesh/a", "spiffe://a:1/b", "1.2.3.4"} {
		f.Add(s)
	}
	pattern := regexp.MustCompile(formatOf("san").pattern)
	f.Fuzz(func(t *testing.T, s string) {
		if near := suggestSAN(s); near != "" && suggestSAN(near) != near {
			t.Errorf("%q suggests %q, and that %q", s, near, suggestSAN(near))
		}
		if s == "" || checkSAN(s) != nil {
			return
		}
		if !pattern.MatchString(s) {
			t.Errorf("the pattern refuses %q", s)
		}
		id, ok := strings.CutPrefix(s, spiffeScheme)
		if !ok {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "spiffe" || u.Host+u.Path != id || u.Path != u.EscapedPath() || u.Hostname() != u.Host {
			t.Errorf("%q is the URI %+v, %v", s, u, err)
		}
	})
}
