package upstream

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// Guard decides which addresses that a request names may be connected to. Endpoints with
// different guards share no connection.
type Guard struct {
	// Check is called just before each connection is made, with the host that the request
	// named and the address that it resolved to. An error, a fault.Error, prevents the
	// connection.
	Check func(host string, to netip.AddrPort) error
}

// dialGuarded is options.Dial for an endpoint that may have a guard. It resolves the name
// itself and tries the addresses in turn. So it connects to exactly the address that it
// checked, and a name that resolves to another address the next time (DNS rebinding)
// gains nothing.
func (g *Group) dialGuarded(ctx context.Context, e *Endpoint) (net.Conn, error) {
	if e.guard == nil {
		return g.options.Dial(ctx, "tcp", e.Address)
	}
	host, all, err := addresses(ctx, e.Address)
	if err != nil {
		return nil, err
	}
	var first error
	for i, to := range all {
		err := e.guard.Check(host, to)
		if err == nil {
			share, cancel := context.WithTimeout(ctx, shareOf(ctx, len(all)-i))
			nc, failed := g.options.Dial(share, "tcp", to.String())
			cancel()
			if failed == nil {
				return nc, nil
			}
			err = failed
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

// addresses resolves a host and port. It returns the host and at least one address.
func addresses(ctx context.Context, address string) (host string, all []netip.AddrPort, err error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return "", nil, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", portText)
	if err != nil {
		return "", nil, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return "", nil, err
	}
	for _, ip := range ips {
		all = append(all, netip.AddrPortFrom(ip.Unmap(), uint16(port)))
	}
	return host, all, nil
}

// shareOf returns the time for the next of the addresses: an equal share of the time that
// is left, but at least 2 s, as net.Dialer does.
func shareOf(ctx context.Context, addresses int) time.Duration {
	by, _ := ctx.Deadline()
	return max(time.Until(by)/time.Duration(addresses), 2*time.Second)
}
