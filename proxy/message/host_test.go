package message

import (
	"strings"
	"testing"
)

func TestHostname(t *testing.T) {
	for authority, want := range map[string]string{
		"web.test": "web.test", "web.test:80": "web.test", "web.test:": "web.test",
		"web.test.": "web.test", "web.test.:80": "web.test", "WEB.Test.": "WEB.Test",
		"127.0.0.1:80": "127.0.0.1", "[::1]:80": "::1", "[::1]": "::1", "[fe80::1%25eth0]:1": "fe80::1%25eth0",
		"::1": "::1", "": "", ":80": "", "[": "[", "[::1": "[::1",
		"xn--e1a.test.": "xn--e1a.test", "é.test.": "é.test",
		// What is no name matches none.
		".": ".", "..": "..", "a..": "a..", ".:80": ".", "a..b": "a..b",
	} {
		if got := Hostname(authority); got != want {
			t.Errorf("%q: %q, want %q", authority, got, want)
		}
		if got := string(Hostname([]byte(authority))); got != want {
			t.Errorf("%q as bytes: %q, want %q", authority, got, want)
		}
	}
}

func TestLowerHost(t *testing.T) {
	for host, want := range map[string]string{
		"Web.TEST.": "web.test", "web.test": "web.test", "[2001:DB8::1]": "2001:db8::1", "2001:DB8::1": "2001:db8::1",
		"*.Web.Test.": "*.web.test", ".": ".", "\u212a.test": "\u212a.test",
	} {
		if got := LowerHost(host); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
}

// TestSameAuthority is the comparison by scheme that RFC 9113 section 8.3.1 asks
// for.
func TestSameAuthority(t *testing.T) {
	for _, tt := range []struct {
		a, b, scheme string
		same         bool
	}{
		{"shop.test", "shop.test", "http", true},
		{"shop.test", "SHOP.test", "http", true},
		{"shop.test.", "shop.test", "http", true},
		{"shop.test:80", "shop.test", "http", true},
		{"shop.test:", "shop.test", "http", true},
		{"shop.test:443", "shop.test", "https", true},
		{"shop.test:80", "shop.test.:", "http", true},
		{"shop.test:080", "shop.test:80", "http", true},
		{"[::1]:80", "[::1]", "http", true},
		{"[2001:DB8::1]", "[2001:db8::1]:443", "https", true},
		{"shop.test:443", "shop.test", "http", false},
		{"shop.test:80", "shop.test", "https", false},
		{"shop.test:80", "shop.test", "", false},
		{"shop.test:8080", "shop.test:8081", "http", false},
		{"shop.test", "shop.test.x", "http", false},
		{"shop.test", "shop.tes", "http", false},
		{"shop.test..", "shop.test", "http", false},
		{"[::1]", "[::2]", "http", false},
		{"a:99999", "a:99998", "http", false},
	} {
		for _, pair := range [][2]string{{tt.a, tt.b}, {tt.b, tt.a}} {
			if got := SameAuthority(pair[0], []byte(pair[1]), tt.scheme); got != tt.same {
				t.Errorf("%s and %s by %q: %v", pair[0], pair[1], tt.scheme, got)
			}
		}
	}
}

// FuzzHostname checks that the form is a part of what it was made of, that it
// does not depend on a port, and that a name has one form only.
func FuzzHostname(f *testing.F) {
	for _, host := range []string{"web.test", "web.test.", "127.0.0.1", "::1", "", "[", "a]b", "[::1]:80", ":", ".", "a.."} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		got := Hostname(host)
		if !strings.Contains(host, got) {
			t.Errorf("%q: %q is no part of it", host, got)
		}
		if string(Hostname([]byte(host))) != got {
			t.Errorf("%q: bytes have another form", host)
		}
		if !SameAuthority(host, strings.ToUpper(host), "http") && strings.ToUpper(host) == upper(host) {
			t.Errorf("%q is not the same as itself in upper case", host)
		}
		if !strings.ContainsAny(host, ":[]") {
			if Hostname(host+":8080") != got {
				t.Errorf("%q and a port: %q, want %q", host, Hostname(host+":8080"), got)
			}
			if host != "" && !strings.HasSuffix(host, ".") && (got != host || Hostname(host+".") != host) {
				t.Errorf("%q and a dot: %q", host, Hostname(host+"."))
			}
		}
		if strings.HasSuffix(got, ".") && got == LowerHost(strings.TrimRight(host, ".")) && got != "" {
			t.Errorf("%q passes for the name %q", host, got)
		}
	})
}

// upper is in upper case what of s is ASCII.
func upper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}
