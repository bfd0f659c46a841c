package dns_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/discovery/dns"
)

func TestNewRefuses(t *testing.T) {
	good := dns.Options{Name: "web.example", Port: 80}
	if _, err := dns.New(good); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*dns.Options){
		"name: it is empty": func(o *dns.Options) { o.Name = "" },
		"name: expected a name without a port, found \"web.example:80\"":     func(o *dns.Options) { o.Name = "web.example:80" },
		"name: \"a b\" is not a host name":                                   func(o *dns.Options) { o.Name = "a b" },
		"name: ::1 is an address that type A does not have":                  func(o *dns.Options) { o.Name, o.Type = "::1", "A" },
		"name: 10.0.0.1 is an address that type SRV does not have":           func(o *dns.Options) { o.Name, o.Port, o.Type = "10.0.0.1", 0, "SRV" },
		"port: expected a number from 1 to 65535, found 0":                   func(o *dns.Options) { o.Port = 0 },
		"port: expected a number from 1 to 65535, found 65536":               func(o *dns.Options) { o.Port = 65536 },
		"port: with type SRV the answer has the ports: remove it, found 80":  func(o *dns.Options) { o.Type = "SRV" },
		"type: expected \"A\", \"AAAA\" or \"SRV\", or nothing":              func(o *dns.Options) { o.Type = "MX" },
		"mode: expected \"strict\" or \"logical\", found \"x\"":              func(o *dns.Options) { o.Mode = "x" },
		"mode: \"logical\" takes the first address":                          func(o *dns.Options) { o.Mode, o.Type, o.Port = "logical", "SRV", 0 },
		"resolver: an address is host:port, and \"10.0.0.2\" has no port":    func(o *dns.Options) { o.Resolver = "10.0.0.2" },
		"refresh_rate: it is more than 0":                                    func(o *dns.Options) { o.RefreshRate = -1 },
		"min_ttl: it is more than 0":                                         func(o *dns.Options) { o.MinTTL = -1 },
		"max_ttl: it is more than 0":                                         func(o *dns.Options) { o.MaxTTL = -1 },
		"timeout: it is more than 0":                                         func(o *dns.Options) { o.Timeout = -1 },
		"min_ttl: it is at most max_ttl, which is 1h0m0s, found 2h0m0s":      func(o *dns.Options) { o.MinTTL = 2 * time.Hour },
		"min_ttl: it is at most max_ttl, which is 1ms, found 1s":             func(o *dns.Options) { o.MaxTTL = time.Millisecond },
		"resolver: the port of an address is a number from 1 to 65535, foun": func(o *dns.Options) { o.Resolver = "10.0.0.2:dns" },
	} {
		o := good
		change(&o)
		if _, err := dns.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
