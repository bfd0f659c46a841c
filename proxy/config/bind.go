package config

import (
	"net/netip"
	"strings"
)

// binder finds listen addresses that can't be bound together: the same port, and the same
// host or a wildcard that covers the other. It maps an address to its owner.
type binder map[string]string

// bind reserves an address for an owner. If it overlaps with a reserved address, bind
// reserves nothing and returns the first owner. It ignores invalid addresses and port 0,
// which is a fresh port each time.
func (b binder) bind(address, owner string) (taken string) {
	if checkListen(address) != nil {
		return ""
	}
	host, port, _ := splitHostPort(address) // checkListen split it
	if port == "0" {
		return ""
	}
	var sought, takes []string
	ip, isIP := listenIP(host)
	switch {
	case isIP && ip == netip.IPv6Unspecified(): // takes IPv4 as well
		sought, takes = []string{"any"}, []string{"::", "any", "any4"}
	case isIP && ip == netip.IPv4Unspecified():
		sought, takes = []string{"any4", "::"}, []string{"0.0.0.0", "any", "any4"}
	case isIP && ip.Is4():
		sought, takes = []string{ip.String(), "0.0.0.0", "::"}, []string{ip.String(), "any", "any4"}
	case isIP:
		sought, takes = []string{ip.String(), "::"}, []string{ip.String(), "any"}
	default:
		name := "name " + strings.ToLower(host)
		sought, takes = []string{name, "::"}, []string{name, "any"}
	}
	for _, s := range sought {
		if first, ok := b[s+" "+port]; ok {
			return first
		}
	}
	for _, t := range takes {
		if _, ok := b[t+" "+port]; !ok {
			b[t+" "+port] = owner
		}
	}
	return ""
}

func listenIP(host string) (netip.Addr, bool) {
	if host == "" {
		return netip.IPv6Unspecified(), true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return addr.Unmap(), err == nil
}
