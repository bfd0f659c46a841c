package discovery_test

import (
	"net"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/discovery"
)

func TestParseAddress(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, tt := range []struct{ in, want, err string }{
		{in: "10.0.0.1:8080", want: "10.0.0.1:8080"},
		{in: "10.0.0.1:080", want: "10.0.0.1:80"},
		{in: "[::1]:65535", want: "[::1]:65535"},
		{in: "[0:0::1]:80", want: "[::1]:80"},
		{in: "[fe80::1%eth0]:80", want: "[fe80::1%eth0]:80"},
		{in: "[::ffff:10.0.0.1]:80", want: "10.0.0.1:80"},
		{in: "Web.Example.com:80", want: "web.example.com:80"},
		{in: "web.example.com.:80", want: "web.example.com.:80"},
		{in: "my_host:1", want: "my_host:1"},
		{in: "3com.example:1", want: "3com.example:1"},
		{in: long + ":1", want: long + ":1"},
		{in: "", err: "empty"},
		{in: "user:s3cret@web:80", err: `found "REDACTED@web:80"`},
		{in: "s3cret@web:80", err: `"REDACTED@web" is not a host name`},
		{in: "user:s3cret@web", err: `found "REDACTED@web"`},
		{in: "web", err: "write web:8080"},
		{in: ":80", err: "the host is missing"},
		{in: ".:80", err: "the host is missing"},
		{in: "web:", err: "from 1 to 65535"},
		{in: "web:http", err: `found "http"`},
		{in: "web:0", err: "from 1 to 65535"},
		{in: "web:65536", err: "from 1 to 65535"},
		{in: "web:-1", err: "from 1 to 65535"},
		{in: "::1", err: "write [::1]:8080"},
		{in: "::1:x:80", err: "or [IPv6]:port"},
		{in: "[::1]", err: "has no port"},
		{in: "[::1]80", err: "only a port may follow"},
		{in: "[::1:80", err: "brackets are for an IPv6"},
		{in: "[10.0.0.1]:80", err: "brackets are for an IPv6"},
		{in: "[web]:80", err: "brackets are for an IPv6"},
		{in: "10.0.0.256:80", err: "neither an IPv4 address nor a name"},
		{in: "a..b:80", err: "not a host name"},
		{in: "-a:80", err: "not a host name"},
		{in: "a-:80", err: "not a host name"},
		{in: "a" + long + ":80", err: "not a host name"},
		{in: strings.Repeat("a.", 127) + "a:80", err: "at most 253"},
		{in: "bücher.example:80", err: "xn--"},
		{in: "a b:80", err: "not a host name"},
	} {
		got, err := discovery.ParseAddress(tt.in)
		if tt.err == "" && (err != nil || got != tt.want) {
			t.Errorf("%q: %q, %v; want %q", tt.in, got, err, tt.want)
		}
		if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%q: %q, %v; want an error with %q", tt.in, got, err, tt.err)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"10.0.0.1:8080", "[::1]:80", "web:1", "[fe80::1%a]:2", ":", "[]:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := discovery.ParseAddress(s)
		if err != nil {
			return
		}
		if _, _, err := net.SplitHostPort(got); err != nil {
			t.Fatalf("%q: %q can not be dialled: %v", s, got, err)
		}
		again, err := discovery.ParseAddress(got)
		if err != nil || again != got {
			t.Fatalf("%q became %q, which became %q, %v", s, got, again, err)
		}
	})
}
