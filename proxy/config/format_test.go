package config

import (
	"strings"
	"testing"
)

// pin is the SHA-256 of nothing.
const pin = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

// TestSuggest has what is written elsewhere in other words.
func TestSuggest(t *testing.T) {
	tests := []struct{ format, written, want string }{
		{"san", "SPIFFE://Mesh/Web", "spiffe://mesh/Web"},
		{"san", "spiffe://mesh/web/", "spiffe://mesh/web"},
		{"san", "spiffe://mesh/", "spiffe://mesh"},
		{"san", "spiffe://", ""},
		{"san", "spiffe", ""},
		{"san", "https://mesh/web", ""},
		{"spki", "sha256/" + pin, pin},
		{"spki", "sha256//" + pin, pin},
		{"spki", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", pin},
		{"spki", "E3B0", ""},
		{"spki", "x", ""},
		{"domain", "a.b:80", "a.b"},
		{"domain", "http://a.b:80/c", "a.b"},
		{"domain", ".a.b", "a.b"},
		{"domain", "10.0.0.1:80", ""},
		{"statuses", "2xx", "200-299"},
		{"statuses", "5XX", "500-599"},
		{"statuses", "6xx", "600-699"},
		{"statuses", "ok", ""},
	}
	for _, tt := range tests {
		if got := (key{format: tt.format}).suggest(tt.written); got != tt.want {
			t.Errorf("%s %q: %q, want %q", tt.format, tt.written, got, tt.want)
		}
	}
}

func TestFormats(t *testing.T) {
	tests := []struct {
		format  string
		valid   []string
		invalid []string
	}{
		{"name", []string{"a", "my service", "a/b:c", strings.Repeat("a", 255)},
			[]string{" a", "a ", "a\tb", "é", strings.Repeat("a", 256)}},
		{"listen", []string{":80", "0.0.0.0:0", "[::]:65535", "localhost:80", "[fe80::1%eth0]:80"},
			[]string{"80", "a", ":", ":65536", ":-1", ":+1", ":1x", "::1:80", "[::1]", "[::1]x:80", "[::1:80", "[1.2.3.4]:80",
				"*:80", "1.2.3:80", "1.2.3.4.5:80", "a b:80", "http://a:80", ":080"}},
		{"address", []string{"a:80", "a.b.:80", "1.2.3.4:80", "[::1]:80", "my_svc:1"},
			[]string{":80", "a:0", "a", "-a:80", "a-:80", "1:80", "a..b:80", "[]:80"}},
		{"authority", []string{"a", "a:80", "1.2.3.4", "[::1]", "[::1]:80", "endpoint"}, []string{"::1", ":80", "a:", "a:x", "a b"}},
		{"host", []string{"a.b", "*.a.b", "*.com", "1.2.3.4", "[::1]"}, []string{"*", "*.", "*.*.a", "a.*", "::1", "a:80", "*.1.2.3.4"}},
		{"path", []string{"/", "/a/b.c", "/%20", "/é"}, []string{"a", "*", "/a b", "/a?b", "/a#b"}},
		{"target", []string{"/", "/a/b.c", "/%20", "/a?b", "/health?full=1&deep=%20", "/a?b?c", "/?"}, []string{"a", "?a", "*", "/a b", "/a?b c", "/a#b", "/a?b#c", "/a%", "/a?b\n"}},
		{"method", []string{"GET", "PURGE", "get-it", "M-SEARCH"}, []string{"get", "Post", "GE T", "GET,", "É"}},
		{"hostname", []string{"a", "a.b-c.d", "a_b"}, []string{"1.2.3.4", "[::1]", "::1", "*.a", "a:80", "a b", "é"}},
		{"domain", []string{"a", "a.b-c.d.", "_http._tcp.a"}, []string{"1.2.3.4", "[::1]", "*.a", "a:80", ".a", "a b"}},
		{"datacenter", []string{"dc1", "eu-1_b"}, []string{"dc.1", "a b", "é", strings.Repeat("a", 65)}},
		{"ip", []string{"a.b", "1.2.3.4", "::1", "[::1]"}, []string{"a:80", "a b", "1.2.3"}},
		{"field", []string{"x-user", "X_1"}, []string{"a b", "a:", "é"}},
		{"regex", []string{"a", "/v[0-9]+/.*", "(?i)a|b"}, []string{"(", "a)|(b", "[", "\\C", "a{2000}"}},
		{"path template", []string{"/", "/cart/{id}/items", "/{rest=**}", "/*.mp4"}, []string{"a", "/{", "/a*b", "/**/*"}},
		{"grpc name", []string{"Add", "shop.Cart_v1"}, []string{"shop/Cart", "a b", "é"}},
		{"cookie", []string{"session", "__Host-a"}, []string{"a b", "a=b", "a;"}},
		{"statuses", []string{"200", "100-599", "200-200"}, []string{"2xx", "20", "099", "1000", "200-", "-200", "299-200", "200-300-400", "+20", "200 - 300"}},
		{"socket", []string{"/run/hopscope.sock", "@hopscope", strings.Repeat("a", 107)}, []string{strings.Repeat("a", 108)}},
		{"file", []string{"a", "/a b/c.pem", "é"}, []string{"-----BEGIN CERTIFICATE-----"}},
		{"san", []string{"a", "a.b", "*.a", "spiffe://mesh", "spiffe://mesh.example/ns/default/sa/Web_1", "spiffe://mesh/*", "spiffe://mesh/ns/*",
			"spiffe://" + strings.Repeat("a", 255) + "/b"},
			[]string{"*", "*.", "a.*", "*.*.a", "1.2.3.4", "*.1.2.3.4", "::1", "a:80", "é", "https://a/", "SPIFFE://mesh", "spiffe://", "spiffe:///a",
				"spiffe://Mesh/a", "spiffe://mesh/", "spiffe://mesh/a/", "spiffe://mesh//a", "spiffe://mesh/./a", "spiffe://mesh/..",
				"spiffe://mesh/*/a", "spiffe://mesh/a*", "spiffe://*/a", "spiffe://*", "spiffe://mesh:80/a", "spiffe://u@mesh/a", "spiffe://mesh/a?b",
				"spiffe://mesh/a#b", "spiffe://mesh/%41", "spiffe://mesh/é", "spiffe://" + strings.Repeat("a", 256) + "/b",
				"spiffe://mesh/" + strings.Repeat("a", 2048)}},
		{"spki", []string{pin}, []string{"a", pin[:43], pin + "=", "sha256/" + pin, strings.Repeat("A", 44), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=",
			"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU="}},
		{"trace link", []string{"http://a/trace/%TRACE_ID%", "https://a/?q=%TRACE_ID%#tab"},
			[]string{"http://a/trace/", "a/%TRACE_ID%", "http://u:p@a/%TRACE_ID%", "http://a b/%TRACE_ID%", "http://a#%trace_id%", "ftp://a/%TRACE_ID%"}},
		{"url", []string{"http://a", "https://u:p@a:80/b?c=d", "http://[::1]:80/", "HTTP://a/"},
			[]string{"a", "ftp://a", "http://", "http:///a", "http://a:x", "http://a#b", "//a", "http://a b/", "http://1.2.3:80/"}},
	}
	for _, tt := range tests {
		f := formatOf(tt.format)
		for _, s := range tt.valid {
			if err := f.check(s); err != nil {
				t.Errorf("%s %q: %v", tt.format, s, err)
			}
		}
		for _, s := range tt.invalid {
			if f.check(s) == nil {
				t.Errorf("%s %q: accepted", tt.format, s)
			}
		}
	}
}
