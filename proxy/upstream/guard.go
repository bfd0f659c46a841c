package upstream

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// Guard decides where connections may go whose address is named by requests.
// Endpoints of different guards share no connection.
type Guard struct {
	// Check is asked for each connection just before it is made, with the host as the
	// request named it and the address that it was found at. An error, which is a
	// fault.Error, keeps the connection from being made.
	Check func(host string, to netip.AddrPort) error
}

// dialGuarded is options.Dial for an endpoint that may have a guard. A name is resolved
// here, and its addresses are tried in turn: the one that was checked is the one that
// the connection is made to, so that a name that leads elsewhere the next time it is
// looked up (DNS rebinding) gains nothing by it.
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

// addresses are those of a host and port, of which there is one at least, and the host.
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

// shareOf is the time for one of so many addresses: as much as for each that follows,
// but at least 2 s, as net.Dialer has it.
func shareOf(ctx context.Context, addresses int) time.Duration {
	by, _ := ctx.Deadline()
	return max(time.Until(by)/time.Duration(addresses), 2*time.Second)
}
