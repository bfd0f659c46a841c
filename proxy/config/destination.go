package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/hopscope/hopscope/proxy/message"
)

// Destination is a parsed entry of [ForwardAllow].Destinations: what a forward proxy's
// client may reach.
//
// The zero value matches nothing.
type Destination struct {
	all     bool
	name    string       // a whole host name, in lower case
	below   string       // ".example.com", in lower case
	network netip.Prefix // of resolved addresses
	port    uint16       // 0 is every port
}

// ParseDestination parses a destination. The forms are
//
//   - a host name, example.com, which matches itself alone
//   - *.example.com, which matches every name below example.com, at any depth
//   - a network, 10.0.0.0/8, or an IP address, 10.0.0.1
//   - * for everything
//
// each with ":port" behind it to allow that port alone. IPv6 addresses, and
// IPv6 networks that have a port, go in brackets: [fd00::/8]:443.
func ParseDestination(s string) (Destination, error) {
	host, port, err := splitDestination(s)
	if err != nil {
		return Destination{}, err
	}
	d := Destination{}
	if port != "" {
		if err := checkPort(port, 1); err != nil {
			return Destination{}, err
		}
		n, _ := strconv.ParseUint(port, 10, 16) // checkPort parsed it
		d.port = uint16(n)
	}
	if host == "*" {
		d.all = true
		return d, nil
	}
	network, ok, err := parseNetwork(host)
	if err != nil {
		return Destination{}, err
	}
	if ok {
		d.network = network
		return d, nil
	}
	name, wild := strings.CutPrefix(host, "*.")
	if !isHostname(name) {
		return Destination{}, fmt.Errorf("%q is neither a host name nor a network", host)
	}
	name = message.LowerHost(name)
	if wild {
		d.below = "." + name
	} else {
		d.name = name
	}
	return d, nil
}

// splitDestination splits off the port, which is empty when there is none.
func splitDestination(s string) (host, port string, err error) {
	if inside, ok := strings.CutPrefix(s, "["); ok {
		host, after, closed := strings.Cut(inside, "]")
		switch {
		case !closed:
			return "", "", errors.New("the bracket is not closed")
		case !strings.Contains(host, ":"):
			return "", "", errors.New("brackets are for IPv6")
		case after == "":
			return host, "", nil
		case after[0] == '/':
			return "", "", errors.New("the prefix length goes inside the brackets")
		case after[0] != ':' || after == ":":
			return "", "", errors.New("only a port may follow the brackets")
		}
		return host, after[1:], nil
	}
	switch strings.Count(s, ":") {
	case 0:
		return s, "", nil
	case 1:
		host, port, _ = strings.Cut(s, ":")
		if port == "" {
			return "", "", errors.New("the port is missing")
		}
		return host, port, nil
	}
	if _, err := netip.ParsePrefix(s); err == nil {
		return s, "", nil
	}
	return "", "", errors.New("an IPv6 address goes in brackets")
}

// parseNetwork parses a network, or an address as a network of one. ok is false if s
// looks like neither.
func parseNetwork(s string) (network netip.Prefix, ok bool, err error) {
	if strings.Contains(s, "/") {
		network, err = netip.ParsePrefix(s)
		if err != nil {
			return netip.Prefix{}, false, fmt.Errorf("%q is not a network", s)
		}
		return network, true, checkNetwork(network)
	}
	addr, err := netip.ParseAddr(s)
	switch {
	case err != nil && strings.Contains(s, ":"):
		return netip.Prefix{}, false, fmt.Errorf("%q is not an IPv6 address", s)
	case err != nil:
		return netip.Prefix{}, false, nil
	case addr.Zone() != "":
		return netip.Prefix{}, false, errors.New("a zone can not be matched")
	}
	network = netip.PrefixFrom(addr, addr.BitLen())
	return network, true, checkNetwork(network)
}

// checkNetwork refuses networks that do not mean what they seem to.
func checkNetwork(p netip.Prefix) error {
	switch {
	case p.Addr().Is4In6():
		return errors.New("an IPv4 address in IPv6 form never matches: write it as IPv4")
	case p != p.Masked():
		return fmt.Errorf("it has bits beyond its prefix: write %s", p.Masked())
	}
	return nil
}

// Match reports whether the destination covers a request to host and port. host is as in
// the request, without port; an IPv6 address may have brackets. ip is the address that
// host resolved to. If ip is invalid, host is not resolved yet: networks then match only
// a host that is itself an address.
func (d Destination) Match(host string, ip netip.Addr, port uint16) bool {
	if d.port != 0 && d.port != port {
		return false
	}
	if d.all {
		return true
	}
	host = message.BareHost(host)
	if d.network.IsValid() {
		if !ip.IsValid() {
			ip, _ = netip.ParseAddr(host)
		}
		return d.network.Contains(ip.Unmap().WithZone(""))
	}
	if d.below != "" {
		return len(host) > len(d.below) && message.EqualFold(host[len(host)-len(d.below):], d.below)
	}
	return d.name != "" && message.EqualFold(host, d.name)
}

// Network returns the destination's network and its port, 0 for every port; false if it
// is not a network. A name matches a network only by an address that it resolves to.
func (d Destination) Network() (network netip.Prefix, port uint16, ok bool) {
	return d.network, d.port, d.network.IsValid()
}
