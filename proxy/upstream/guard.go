package upstream

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"

	"github.com/hopscope/hopscope/proxy/fault"
)

// Guard decides where connections may go whose address is named by requests.
// Endpoints of different guards share no connection.
type Guard struct {
	// Check is asked for each connection just before it is made, with the host as the
	// request named it and the address that it was found at. An error, which is a
	// [*fault.Error], keeps the connection from being made.
	Check func(host string, to netip.AddrPort) error
}

// dialGuarded is options.Dial for an endpoint with a guard. The address that is checked
// is the one that the kernel is given: a name that resolves to another one the next
// time (DNS rebinding) gains nothing by it.
func (g *Group) dialGuarded(ctx context.Context, e *Endpoint) (net.Conn, error) {
	if e.guard == nil {
		return g.options.Dial(ctx, "tcp", e.Address)
	}
	host, _, err := net.SplitHostPort(e.Address)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return e.guard.Check(host, to)
	}}
	nc, err := d.DialContext(ctx, "tcp", e.Address)
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return nil, f
	}
	return nc, err
}
