package forward

import (
	"net/netip"
	"testing"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
)

// from is a client at another address: tests have only this machine's loopback
// to call from.
type from struct {
	filter.Conn
	info filter.ConnInfo
}

func (f from) Info() *filter.ConnInfo { return &f.info }

func kindOf(err error) fault.Kind {
	if err == nil {
		return fault.None
	}
	return fault.Of(err).Kind
}

// names are destinations by name, networks by address.
func names(all ...string) Destinations {
	return Destinations{Name: func(host string, _ uint16) bool {
		for _, n := range all {
			if n == "*" || n == host {
				return true
			}
		}
		return false
	}}
}

func networks(all ...string) (d Destinations) {
	for _, n := range all {
		d.Networks = append(d.Networks, Network{Prefix: netip.MustParsePrefix(n)})
	}
	return d
}

func to(d Destinations) []Allow {
	return []Allow{{Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8")}, Destinations: d}}
}

func TestPermittedByClient(t *testing.T) {
	allow := []Allow{{
		Clients:      []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Destinations: Destinations{Name: func(host string, port uint16) bool { return host == "api.internal" && port == 80 }},
	}}
	tests := []struct {
		name, peer  string
		loopback    bool
		allow       []Allow
		destination string
		kind        fault.Kind // None where it is permitted
	}{
		{"loopback without rules", "127.0.0.1", true, nil, "api.internal:80", fault.None},
		{"another machine without rules", "10.1.2.3", false, nil, "api.internal:80", fault.Forbidden},
		{"a network that is listed", "10.1.2.3", false, allow, "api.internal:80", fault.None},
		{"another port", "10.1.2.3", false, allow, "api.internal:81", fault.Forbidden},
		{"a network that is not listed", "192.168.0.1", false, allow, "api.internal:80", fault.Forbidden},
		{"loopback, not listed", "127.0.0.1", true, allow, "api.internal:80", fault.Forbidden},
		{"another's loopback", "10.1.2.3", false, to(names("*")), "127.0.0.1:80", fault.ForbiddenAddress},
		{"a metadata service", "127.0.0.1", true, nil, "169.254.169.254:80", fault.ForbiddenAddress},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &Forwarder{Options: Options{Egress: &Egress{Rules: &Rules{Allow: tt.allow}}}}
			x := &filter.Exchange{Conn: from{info: filter.ConnInfo{PeerIP: tt.peer, Loopback: tt.loopback}}}
			guard, err := f.permitted(x, tt.destination)
			if kind := kindOf(err); kind != tt.kind || err == nil && guard == nil {
				t.Errorf("%v, want %v", err, tt.kind)
			}
		})
	}
}

// What a client reaches is decided by the address that a connection is made to.
func TestReach(t *testing.T) {
	const here, far = true, false
	own := netip.MustParseAddrPort("192.0.2.1:9901")
	for _, tt := range []struct {
		name     string
		loopback bool
		allow    []Allow
		deny     Destinations
		host, to string
		kind     fault.Kind
	}{
		{"without rules", here, nil, Destinations{}, "api.test", "192.0.2.7:80", fault.None},
		{"loopback itself", here, nil, Destinations{}, "127.0.0.1", "127.0.0.1:80", fault.None},
		{"loopback itself, IPv6", here, nil, Destinations{}, "::1", "[::1]:80", fault.None},
		{"localhost", here, nil, Destinations{}, "localhost", "127.0.0.1:80", fault.None},
		{"localhost with its dot", here, nil, Destinations{}, "LOCALHOST.", "[::1]:80", fault.None},
		{"localhost for another host", far, to(names("*")), Destinations{}, "localhost", "127.0.0.1:80", fault.ForbiddenAddress},
		{"a name that leads to loopback", here, nil, Destinations{}, "rebound.test", "127.0.0.1:80", fault.ForbiddenAddress},
		{"a name that leads to loopback, IPv6", here, nil, Destinations{}, "rebound.test", "[::1]:80", fault.ForbiddenAddress},
		{"loopback in IPv6 form", here, nil, Destinations{}, "rebound.test", "[::ffff:127.0.0.1]:80", fault.ForbiddenAddress},
		{"loopback by NAT64", here, nil, Destinations{}, "rebound.test", "[64:ff9b::7f00:1]:80", fault.ForbiddenAddress},
		{"another of loopback's addresses", here, nil, Destinations{}, "rebound.test", "127.8.9.1:80", fault.ForbiddenAddress},
		{"an old way to write loopback", here, nil, Destinations{}, "127.1", "127.0.0.1:80", fault.ForbiddenAddress},
		{"link-local", here, nil, Destinations{}, "rebound.test", "169.254.169.254:80", fault.ForbiddenAddress},
		{"link-local itself", here, nil, Destinations{}, "169.254.169.254", "169.254.169.254:80", fault.ForbiddenAddress},
		{"link-local, IPv6", here, nil, Destinations{}, "fe80::1%eth0", "[fe80::1%eth0]:80", fault.ForbiddenAddress},
		{"AWS's metadata, IPv6", here, nil, Destinations{}, "rebound.test", "[fd00:ec2::254]:80", fault.ForbiddenAddress},
		{"unspecified", here, nil, Destinations{}, "0.0.0.0", "0.0.0.0:80", fault.ForbiddenAddress},
		{"unspecified, IPv6", here, nil, Destinations{}, "::", "[::]:80", fault.ForbiddenAddress},
		{"this network", here, nil, Destinations{}, "rebound.test", "0.1.2.3:80", fault.ForbiddenAddress},
		{"multicast", here, nil, Destinations{}, "rebound.test", "239.1.1.1:80", fault.ForbiddenAddress},
		{"broadcast", here, nil, Destinations{}, "rebound.test", "255.255.255.255:80", fault.ForbiddenAddress},
		{"the admin API", here, nil, Destinations{}, "rebound.test", "192.0.2.1:9901", fault.ForbiddenAddress},
		{"the admin API, allowed", here, to(networks("192.0.2.0/24")), Destinations{}, "192.0.2.1", "192.0.2.1:9901", fault.ForbiddenAddress},
		{"the proxy itself", here, to(networks("192.0.2.0/24")), Destinations{}, "rebound.test", "192.0.2.1:8081", fault.LoopFound},

		{"a name that is allowed leads to loopback", far, to(names("api.test")), Destinations{}, "api.test", "127.0.0.1:80", fault.ForbiddenAddress},
		{"a name that is allowed leads to link-local", far, to(names("api.test")), Destinations{}, "api.test", "169.254.169.254:80", fault.ForbiddenAddress},
		{"its network is allowed", far, to(networks("169.254.0.0/16")), Destinations{}, "api.test", "169.254.169.254:80", fault.None},
		{"loopback is allowed", far, to(networks("127.0.0.0/8")), Destinations{}, "api.test", "127.0.0.1:80", fault.None},
		{"everything is allowed, but this host", far, to(networks("0.0.0.0/0")), Destinations{}, "api.test", "127.0.0.1:80", fault.ForbiddenAddress},
		{"and link-local", far, to(networks("128.0.0.0/1")), Destinations{}, "api.test", "169.254.169.254:80", fault.ForbiddenAddress},
		{"anywhere else", far, to(networks("0.0.0.0/0")), Destinations{}, "api.test", "192.0.2.7:80", fault.None},
		{"a name in another network", far, to(networks("198.51.100.0/24")), Destinations{}, "api.test", "192.0.2.7:80", fault.Forbidden},

		{"denied by name", here, nil, names("bad.test"), "bad.test", "192.0.2.7:80", fault.ForbiddenAddress},
		{"denied by network", here, nil, networks("192.0.2.0/24"), "good.test", "192.0.2.7:80", fault.ForbiddenAddress},
		{"denied by network, NAT64", here, nil, networks("192.0.2.0/24"), "good.test", "[64:ff9b::c000:207]:80", fault.ForbiddenAddress},
		{"denied and allowed", far, to(names("*")), networks("10.0.0.0/8"), "good.test", "10.0.0.1:80", fault.ForbiddenAddress},
		{"not denied", far, to(names("*")), networks("10.0.0.0/8"), "good.test", "192.0.2.7:80", fault.None},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := Rules{Allow: tt.allow, Deny: tt.deny, Own: func(to netip.AddrPort) (loop, admin bool) {
				return to.Addr() == own.Addr() && to.Port() == 8081, to == own
			}}
			peer := "10.1.2.3"
			if tt.loopback {
				peer = "127.0.0.1"
			}
			reach, err := r.reachOf(peer, tt.loopback)
			if err != nil {
				t.Fatal(err)
			}
			if err := reach.Check(tt.host, netip.MustParseAddrPort(tt.to)); kindOf(err) != tt.kind {
				t.Errorf("%s at %s: %v, want %v", tt.host, tt.to, err, tt.kind)
			}
		})
	}
}

// Clients share connections if the same entries are for them, and else not.
func TestReachIsShared(t *testing.T) {
	r := Rules{Allow: append(to(names("*")), Allow{Clients: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, Destinations: names("*")})}
	guard := func(peer string, loopback bool) *reach {
		reach, err := r.reachOf(peer, loopback)
		if err != nil {
			t.Fatal(err)
		}
		return reach
	}
	if guard("10.2.0.1", false) != guard("10.3.0.1", false) {
		t.Error("clients of one network are kept apart")
	}
	if guard("10.1.0.1", false) == guard("10.2.0.1", false) || guard("127.0.0.1", true) == guard("10.2.0.1", false) {
		t.Error("clients that may reach different destinations share connections")
	}
}
