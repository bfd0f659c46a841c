package forward

import (
	"net"
	"net/netip"

	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/upstream"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Egress is what makes a listener a forward proxy.
type Egress struct {
	*Rules
	// Requests is for requests in absolute form, Tunnels for CONNECT, each with one
	// target. Their cluster's endpoints are made of what the requests name.
	Requests, Tunnels *Forward
}

// egress takes a request to the destination that it names.
func (f *Forwarder) egress(x *filter.Exchange) error {
	h, r := x.Hop, &x.Request
	action, defaultPort := f.Egress.Requests, ":80"
	switch r.Form {
	case message.Authority:
		action, defaultPort = f.Egress.Tunnels, ""
	case message.Absolute:
		if !message.EqualFold(r.Scheme(), "http") {
			return fault.New(fault.BadGateway, "a forward proxy takes https by CONNECT alone, so that it is encrypted to its end; set HTTPS_PROXY as well as HTTP_PROXY")
		}
	default:
		return fault.New(fault.NotFound, "this is a forward proxy: it takes targets in absolute form (http://host/path) and CONNECT; set it as HTTP_PROXY, or put an inbound listener in front of the service")
	}
	target := &action.Targets[0]
	h.Labels = target.Labels
	authority := r.Authority()
	if host, port := message.SplitPort(authority); len(port) == 0 && defaultPort != "" {
		authority = append(append([]byte(nil), host...), defaultPort...)
	}
	guard, err := f.permitted(x, string(authority))
	if err != nil {
		return err
	}
	h.Routed = now(h)
	fixed := target.Cluster.Connections(cluster.Default).Dynamic(authority, guard)
	if r.Method == message.CONNECT {
		return f.connect(x, action, target, fixed)
	}
	r.Remove(message.ProxyAuthorization) // it was for this proxy, if for any
	return f.forward(x, action, target, fixed)
}

// permitted returns the guard of the client's connections to a destination. It fails if
// the client may not reach the destination. Where that depends on the address behind a
// name, the guard decides when the connection is made.
func (f *Forwarder) permitted(x *filter.Exchange, authority string) (*upstream.Guard, error) {
	info := x.Conn.Info()
	host, portText, err := net.SplitHostPort(authority)
	if err != nil {
		return nil, fault.New(fault.BadGateway, "the destination is not host:port")
	}
	port, err := net.LookupPort("tcp", portText)
	if err != nil || port == 0 {
		return nil, fault.New(fault.BadGateway, "the destination's port is not a number between 1 and 65535")
	}
	ip, _ := netip.ParseAddr(host)
	if sameSocket(info.Local, host, ip, port) {
		return nil, errLoop
	}
	reach, err := f.Egress.reachOf(info.PeerIP, info.Loopback)
	if err != nil {
		return nil, err
	}
	return &reach.Guard, reach.ask(host, ip, uint16(port))
}

var errLoop = fault.New(fault.LoopFound, "the destination is this forward proxy itself")

// sameSocket reports whether a destination is the listener's own socket.
func sameSocket(local, host string, ip netip.Addr, port int) bool {
	own, err := netip.ParseAddrPort(local)
	if err != nil || int(own.Port()) != port {
		return false
	}
	return isLocalhost(host) && own.Addr().IsLoopback() || ip.IsValid() && ip.Unmap() == own.Addr().Unmap()
}

// connect opens a tunnel to the destination of a CONNECT request.
func (f *Forwarder) connect(x *filter.Exchange, action *Forward, target *Target, fixed *upstream.Endpoint) error {
	h := x.Hop
	h.Kind = hop.KindTunnel
	d := f.deliver(x, action, target, fixed)
	a := &d.attempt
	if err := a.open(false); err != nil {
		return err
	}
	h.LastAttempt().FirstByte = now(h)
	r := &x.Response
	r.Begin(nil)
	r.Status, r.Framing, r.Length = 200, message.Tunnel, -1
	r.SetReason(r.Own("Connection established"))
	return a.tunnel()
}
