package main

import (
	"fmt"
	"net"
)

// The loads of groupScale: what one variant has one of, another has so many of.
const (
	manyEndpoints = 1000
	manyRoutes    = 1000
)

// endpointsAn is how many endpoints share the first three bytes of their addresses,
// maxEndpoints how many addresses there are.
const (
	endpointsAn  = 250
	maxEndpoints = endpointsAn * 256
)

// endpointAddresses are n addresses of the loopback network on one port: the kernel
// takes all of them for its own, and a server that listens everywhere has them all.
func endpointAddresses(n int, port string) []string {
	addresses := make([]string, n)
	for i := range addresses {
		ip := net.IPv4(127, 1, byte(i/endpointsAn), byte(1+i%endpointsAn))
		addresses[i] = net.JoinHostPort(ip.String(), port)
	}
	return addresses
}

// otherRoutes are matches of hopscope's configuration, n of them, that no request of the
// benchmark meets: of every kind, some of which differ from a request in nothing but
// their host or their method.
func otherRoutes(n int) []string {
	routes := make([]string, n)
	for i := range routes {
		switch i % 5 {
		case 0:
			routes[i] = fmt.Sprintf("{path_prefix: /service-%04d/}", i)
		case 1:
			routes[i] = fmt.Sprintf(`{hosts: [service-%04d.service.consul, "*.service-%04[1]d.test"]}`, i)
		case 2:
			routes[i] = fmt.Sprintf("{path_prefix: /api/v1/part-%04d/, hosts: [shop-%d.test], methods: [GET, HEAD]}", i, i%100)
		case 3:
			routes[i] = fmt.Sprintf("{path: /pages/%04d}", i)
		case 4:
			routes[i] = fmt.Sprintf("{path_prefix: /, hosts: [tenant-%04d.test], methods: [POST, PUT]}", i)
		}
	}
	return routes
}
