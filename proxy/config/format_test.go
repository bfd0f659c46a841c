package config

import (
	"strings"
	"testing"
)

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
		{"method", []string{"GET", "PURGE", "get-it", "M-SEARCH"}, []string{"get", "Post", "GE T", "GET,", "É"}},
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

func TestRedactURL(t *testing.T) {
	tests := []struct{ url, want string }{
		{"http://zipkin:9411/api/v2/spans", "http://zipkin:9411/api/v2/spans"},
		{"http://user:secret@zipkin/x", "http://[redacted]@zipkin/x"},
		{"http://token@zipkin/x", "http://[redacted]@zipkin/x"},
		{"http://a:se/cret@zipkin/x", "http://[redacted]@zipkin/x"},
		{"http://a:se@cret@zipkin/x", "http://[redacted]@zipkin/x"},
		{"user:secret@zipkin", "[redacted]@zipkin"},
		{"http://zipkin/x?key=secret&b&c=", "http://zipkin/x?key=[redacted]&b&c="},
		{"http://a:b@h?x=secret@y", "http://[redacted]@h?x=[redacted]"},
	}
	for _, tt := range tests {
		if got := redactURL(tt.url); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.url, got, tt.want)
		}
	}
}
