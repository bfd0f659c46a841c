package forward

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Egress is what makes a listener a forward proxy.
type Egress struct {
	// Allow says who may reach what; nil lets loopback clients reach all.
	Allow []Allow
	// Route is that of requests in absolute form, Tunnels that of CONNECT.
	// Their cluster's endpoints are made of what the requests name.
	Route, Tunnels Route
	// Resolver finds the addresses of a name that only a network allows.
	Resolver *net.Resolver
}

// Allow lets clients reach destinations.
type Allow struct {
	Clients []netip.Prefix
	// Reaches reports whether a destination is among those that are allowed.
	// ip is not valid where the host is a name that was not resolved.
	Reaches func(host string, ip netip.Addr, port uint16) bool
	// Networks is true where a destination may be allowed by its address.
	Networks bool
}

// egress takes a request to the destination that it names.
func (f *Forwarder) egress(x *filter.Exchange) error {
	h, r := x.Hop, &x.Request
	route, defaultPort := &f.Egress.Route, ":80"
	switch r.Form {
	case message.Authority:
		route, defaultPort = &f.Egress.Tunnels, ""
	case message.Absolute:
		if !message.EqualFold(r.Scheme(), "http") {
			return fault.New(fault.BadGateway, "a forward proxy takes https by CONNECT alone, so that it is encrypted to its end; set HTTPS_PROXY as well as HTTP_PROXY")
		}
	default:
		return fault.New(fault.NotFound, "this is a forward proxy: it takes targets in absolute form (http://host/path) and CONNECT; set it as HTTP_PROXY, or put an inbound listener in front of the service")
	}
	h.Labels = route.Labels
	authority := r.Authority()
	if host, port := message.SplitPort(authority); len(port) == 0 && defaultPort != "" {
		authority = append(append([]byte(nil), host...), defaultPort...)
	}
	address, err := f.permitted(x, string(authority))
	if err != nil {
		return err
	}
	h.Routed = now(h)
	d := destination{route: route, fixed: route.Cluster.Group.Dynamic([]byte(address))}
	if r.Method == message.CONNECT {
		return f.connect(x, &d)
	}
	r.Remove(message.ProxyAuthorization) // it was for this proxy, if for any
	return f.send(x, &d)
}

// permitted returns the address to connect to, if the client may reach it. A
// name that is allowed by its address alone is pinned to that address.
func (f *Forwarder) permitted(x *filter.Exchange, authority string) (string, error) {
	info := x.Down.Info()
	host, portText, err := net.SplitHostPort(authority)
	if err != nil {
		return "", fault.New(fault.BadGateway, "the destination is not host:port")
	}
	port, err := net.LookupPort("tcp", portText)
	if err != nil || port == 0 {
		return "", fault.New(fault.BadGateway, "the destination's port is not a number between 1 and 65535")
	}
	ip, _ := netip.ParseAddr(host)
	if sameSocket(info.Local, host, ip, port) {
		return "", fault.New(fault.LoopFound, "the destination is this forward proxy itself")
	}
	if f.Egress.Allow == nil {
		if info.Loopback {
			return authority, nil
		}
		return "", fault.New(fault.Forbidden, fmt.Sprintf("client %s may not use this forward proxy: without forward_proxy.allow only loopback clients may", info.PeerIP))
	}
	client, _ := netip.ParseAddr(info.PeerIP)
	known := false
	for _, a := range f.Egress.Allow {
		if !contains(a.Clients, client) {
			continue
		}
		known = true
		if a.Reaches(host, ip, uint16(port)) {
			return authority, nil
		}
		if a.Networks && !ip.IsValid() {
			if pinned, ok := f.pin(&a, host, port); ok {
				return pinned, nil
			}
		}
	}
	if !known {
		return "", fault.New(fault.Forbidden, fmt.Sprintf("client %s may not use this forward proxy: no entry of forward_proxy.allow has it among its clients", info.PeerIP))
	}
	return "", fault.New(fault.Forbidden, fmt.Sprintf("client %s may not reach %s: no entry of forward_proxy.allow that has the client has the destination", info.PeerIP, clip([]byte(authority))))
}

// pin resolves a name and returns the first of its addresses that is allowed.
func (f *Forwarder) pin(a *Allow, host string, port int) (string, bool) {
	ctx, cancel := context.WithTimeout(f.Context, 5*time.Second)
	defer cancel()
	addrs, err := f.Egress.Resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return "", false
	}
	for _, ip := range addrs {
		if ip = ip.Unmap(); a.Reaches(host, ip, uint16(port)) {
			return netip.AddrPortFrom(ip, uint16(port)).String(), true
		}
	}
	return "", false
}

// sameSocket reports whether a destination is the listener's own socket.
func sameSocket(local, host string, ip netip.Addr, port int) bool {
	own, err := netip.ParseAddrPort(local)
	if err != nil || int(own.Port()) != port {
		return false
	}
	return message.EqualFold(message.BareHost(host), "localhost") && own.Addr().IsLoopback() || ip.IsValid() && ip.Unmap() == own.Addr().Unmap()
}

func contains(networks []netip.Prefix, ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	for _, n := range networks {
		if n.Contains(ip) {
			return true
		}
	}
	return false
}

// connect opens a tunnel to the destination of a CONNECT request.
func (f *Forwarder) connect(x *filter.Exchange, d *destination) error {
	h := x.Hop
	h.Kind = hop.KindTunnel
	var w way
	if err := f.reach(x, d, content{}, &w, false); err != nil {
		return err
	}
	a := h.LastAttempt()
	a.FirstByte = now(h)
	r := &x.Response
	r.Begin(nil)
	r.Status, r.Framing, r.Length = 200, message.Tunnel, -1
	r.SetReason(r.Own("Connection established"))
	return f.tunnel(x, &w)
}
