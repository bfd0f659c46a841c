package config

import (
	"net/netip"
	"strings"
	"testing"
)

func TestDestinationMatch(t *testing.T) {
	none := netip.Addr{}
	ip := netip.MustParseAddr
	tests := []struct {
		destination string
		host        string
		ip          netip.Addr
		port        uint16
		want        bool
	}{
		{"*", "example.com", none, 80, true},
		{"*", "10.0.0.1", ip("10.0.0.1"), 443, true},
		{"*:443", "example.com", none, 443, true},
		{"*:443", "example.com", none, 80, false},

		{"example.com", "example.com", none, 80, true},
		{"Example.COM", "eXample.com", none, 80, true},
		{"example.com", "example.com.", none, 80, true},
		{"example.com.", "example.com", none, 80, true},
		{"example.com", "www.example.com", none, 80, false},
		{"example.com", "example.com.evil", none, 80, false},
		{"example.com", "badexample.com", none, 80, false},
		{"example.com", "", none, 80, false},
		{"example.com", "", ip("10.0.0.1"), 80, false},
		{"example.com:443", "example.com", none, 443, true},
		{"example.com:443", "example.com", none, 8443, false},
		{"kelvin", "\u212aelvin", none, 80, false},
		{"localhost", "localhost", ip("127.0.0.1"), 80, true},
		{"my_service", "MY_SERVICE", none, 80, true},

		{"*.example.com", "www.example.com", none, 80, true},
		{"*.example.com", "a.b.Example.com", none, 80, true},
		{"*.example.com", "example.com", none, 80, false},
		{"*.example.com", ".example.com", none, 80, false},
		{"*.example.com", "wwwexample.com", none, 80, false},
		{"*.example.com:443", "www.example.com", none, 443, true},
		{"*.example.com:443", "www.example.com", none, 80, false},

		{"10.0.0.0/8", "10.1.2.3", none, 80, true},
		{"10.0.0.0/8", "11.1.2.3", none, 80, false},
		{"10.0.0.0/8", "example.com", none, 80, false},
		{"10.0.0.0/8", "example.com", ip("10.1.2.3"), 80, true},
		{"10.0.0.0/8", "example.com", ip("11.1.2.3"), 80, false},
		{"10.0.0.0/8", "10.1.2.3", ip("11.1.2.3"), 80, false}, // what is dialled counts
		{"10.0.0.0/8", "[::ffff:10.1.2.3]", none, 80, true},
		{"10.0.0.0/8", "example.com", ip("::ffff:10.1.2.3"), 80, true},
		{"10.0.0.0/8:443", "10.1.2.3", none, 443, true},
		{"10.0.0.0/8:443", "10.1.2.3", none, 80, false},
		{"10.0.0.1", "10.0.0.1", none, 80, true},
		{"10.0.0.1", "10.0.0.2", none, 80, false},
		{"10.0.0.1:80", "example.com", ip("10.0.0.1"), 80, true},
		{"10.0.0.1", "0x0a000001", none, 80, false},
		{"0.0.0.0/0", "[::1]", none, 80, false},

		{"fd00::/8", "[fd00::1]", none, 80, true},
		{"fd00::/8", "fd00::1", none, 80, true},
		{"fd00::/8", "10.0.0.1", none, 80, false},
		{"[fd00::/8]", "x", ip("fd12::1"), 80, true},
		{"[fd00::/8]:443", "[fd00::1]", none, 443, true},
		{"[fd00::/8]:443", "[fd00::1]", none, 80, false},
		{"[::1]", "[::1]", none, 80, true},
		{"[::1]:80", "[0:0::1]", none, 80, true},
		{"[::1]:80", "[::2]", none, 80, false},
		{"[fe80::/10]", "x", ip("fe80::1%eth0"), 80, true},
	}
	for _, tt := range tests {
		d, err := ParseDestination(tt.destination)
		if err != nil {
			t.Errorf("%s: %v", tt.destination, err)
			continue
		}
		if got := d.Match(tt.host, tt.ip, tt.port); got != tt.want {
			t.Errorf("%s: Match(%q, %v, %d) = %v", tt.destination, tt.host, tt.ip, tt.port, got)
		}
	}
	if (Destination{}).Match("", none, 0) || (Destination{}).Match("x", ip("::"), 1) {
		t.Error("the zero value matches")
	}
}

func TestParseDestinationRefuses(t *testing.T) {
	tests := []struct{ destination, want string }{
		{"", "is neither a host name nor a network"},
		{"::1", "an IPv6 address goes in brackets"},
		{"fd00::/8:443", "an IPv6 address goes in brackets"},
		{"[::1", "the bracket is not closed"},
		{"[::1]:", "only a port may follow the brackets"},
		{"[::1]x", "only a port may follow the brackets"},
		{"[::1]/64", "the prefix length goes inside the brackets"},
		{"[10.0.0.1]", "brackets are for IPv6"},
		{"[a:b]", `"a:b" is not an IPv6 address`},
		{"[fe80::1%eth0]", "a zone can not be matched"},
		{"10.0.0.1/8", "write 10.0.0.0/8"},
		{"10.0.0.0/33", `"10.0.0.0/33" is not a network`},
		{"10.0.0.256", "is neither a host name nor a network"},
		{"[::ffff:10.0.0.1]", "write it as IPv4"},
		{"example.com:", "the port is missing"},
		{"example.com:0", "port 0 can not be connected to"},
		{"example.com:65536", "is above 65535"},
		{"example.com:+80", "is not a number"},
		{"example.com:080", "leading zero"},
		{"*.*", "is neither"},
		{"*example.com", "is neither"},
		{"www.*.com", "is neither"},
		{"exa mple.com", "is neither"},
		{"caf\u00e9.com", "is neither"},
		{"example..com", "is neither"},
		{"example..", "is neither"},
		{"http://example.com/", "is not a"},
		{strings.Repeat("a", 64) + ".com", "is neither"},
		{strings.Repeat("a.", 127) + "com", "is neither"},
	}
	for _, tt := range tests {
		d, err := ParseDestination(tt.destination)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %+v, %v; want %s", tt.destination, d, err, tt.want)
		}
		if d != (Destination{}) {
			t.Errorf("%q: %+v beside an error", tt.destination, d)
		}
	}
}

// FuzzDestination looks for a destination that does not match itself: whoever
// allows a host by name must be able to reach it.
func FuzzDestination(f *testing.F) {
	for _, s := range []string{"*", "*.example.com:443", "10.0.0.0/8", "[fd00::/8]:1", "[::1]", "a:1", "10.0.0.1:80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDestination(s)
		if err != nil {
			return
		}
		host := d.name
		switch {
		case d.below != "":
			host = "a" + d.below
		case d.network.IsValid():
			host = d.network.Addr().String()
		}
		port := max(d.port, 1)
		if !d.Match(host, netip.Addr{}, port) || !d.Match(strings.ToUpper(host), netip.Addr{}, port) {
			t.Errorf("%q: does not match %q", s, host)
		}
		if d.port != 0 && d.Match(host, netip.Addr{}, port^1) {
			t.Errorf("%q: matches another port", s)
		}
	})
}
