package forward

import (
	"fmt"
	"net/netip"
	"sync"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/upstream"
)

// Rules say who may reach what through a forward proxy. They look at the address of the
// connection as well as at the name in the request: the owner of a name can point it
// anywhere, even at services of this host or of its cloud. Requests under the same Rules
// share connections.
type Rules struct {
	// Allow says who may reach what; nil lets loopback clients reach all.
	Allow []Allow
	// Deny are destinations that nobody may reach, whatever is allowed.
	Deny Destinations
	// Own reports whether an address is a socket of this process: loop for a forward
	// proxy's, admin for the admin API's. Nil means that none is.
	Own func(to netip.AddrPort) (loop, admin bool)

	mu      sync.Mutex
	reaches map[string]*reach // of clients, by the entries that they have
}

// Allow lets clients reach destinations.
type Allow struct {
	Clients []netip.Prefix
	Destinations
}

// Destinations are hosts by name, and networks. The zero value is none.
type Destinations struct {
	// Name reports whether a host is among them by its name; nil where none is.
	Name     func(host string, port uint16) bool
	Networks []Network
}

// Network is addresses, and one of their ports, or 0 for all.
type Network struct {
	netip.Prefix
	Port uint16
}

func (d *Destinations) name(host string, port uint16) bool {
	return d.Name != nil && d.Name(host, port)
}

// network reports whether one of the networks has an address. meant says that the network
// was written for such special addresses (see specialOf): 0.0.0.0/0 has every address, but
// does not mean this host.
func (d *Destinations) network(ip netip.Addr, port uint16, special string) (in, meant bool) {
	for _, n := range d.Networks {
		if n.Contains(ip) && (n.Port == 0 || n.Port == port) {
			in = true
			meant = meant || n.Bits() > 0 && specialOf(n.Addr()) == special
		}
	}
	return in, meant
}

// reach is what the clients with the same entries may reach. Its guard keeps their
// connections apart from those of other clients.
type reach struct {
	upstream.Guard
	rules    *Rules
	entries  []*Allow
	all      bool // there are no entries, and these are loopback clients
	loopback bool // clients on this host
}

// reachOf is what a client may reach.
func (r *Rules) reachOf(peer string, loopback bool) (*reach, error) {
	if r.Allow == nil && !loopback {
		return nil, fault.New(fault.Forbidden, fmt.Sprintf("client %s may not use this forward proxy: without forward_proxy.allow only loopback clients may", peer))
	}
	client, _ := netip.ParseAddr(peer)
	var entries []*Allow
	key := []byte{0}
	if loopback {
		key[0] = 1
	}
	for i := range r.Allow {
		if a := &r.Allow[i]; contains(a.Clients, client) {
			entries = append(entries, a)
			key = append(key, byte(i>>8), byte(i))
		}
	}
	if r.Allow != nil && entries == nil {
		return nil, fault.New(fault.Forbidden, fmt.Sprintf("client %s may not use this forward proxy: no entry of forward_proxy.allow has it among its clients", peer))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.reaches[string(key)]
	if known == nil {
		known = &reach{rules: r, entries: entries, all: r.Allow == nil, loopback: loopback}
		known.Check = known.check
		if r.reaches == nil {
			r.reaches = map[string]*reach{}
		}
		r.reaches[string(key)] = known
	}
	return known, nil
}

// ask says what is known of a destination before its name is resolved; ip is its
// address if it is one.
func (c *reach) ask(host string, ip netip.Addr, port uint16) error {
	if ip.IsValid() {
		return c.check(host, netip.AddrPortFrom(ip, port))
	}
	if c.rules.Deny.name(host, port) {
		return denied(host)
	}
	for _, a := range c.entries {
		if a.name(host, port) || len(a.Networks) > 0 {
			return nil
		}
	}
	if c.all {
		return nil
	}
	return unlisted(host, port)
}

// check says whether a connection may be made to an address for a host.
func (c *reach) check(host string, to netip.AddrPort) error {
	ip, port := to.Addr().Unmap().WithZone(""), to.Port()
	inner := embedded(ip)
	special := specialOf(inner)
	loop, admin := c.own(netip.AddrPortFrom(ip, port))
	switch {
	case loop:
		return errLoop
	case admin:
		return fault.New(fault.ForbiddenAddress, fmt.Sprintf("%s leads to this proxy's admin API, where a forward proxy takes nobody", clip([]byte(host))))
	case c.rules.denies(host, ip, port), c.rules.denies(host, inner, port):
		return denied(host)
	}
	listed := c.all
	for _, a := range c.entries {
		in, meant := a.network(ip, port, special)
		if meant {
			return nil
		}
		listed = listed || in || a.name(host, port)
	}
	switch {
	case !listed:
		return unlisted(host, port)
	case special == loopbackAddress && c.loopback && (isLocalhost(host) || isAddress(host)):
		return nil // it is the client's own host, and the client says so itself
	case special != "":
		return guarded(host, ip, special)
	}
	return nil
}

// denies reports whether nobody may reach the host, or the address that it is at.
func (r *Rules) denies(host string, ip netip.Addr, port uint16) bool {
	in, _ := r.Deny.network(ip, port, "")
	return in || r.Deny.name(host, port)
}

func (c *reach) own(to netip.AddrPort) (loop, admin bool) {
	if c.rules.Own == nil {
		return false, false
	}
	return c.rules.Own(to)
}

func denied(host string) error {
	return fault.New(fault.ForbiddenAddress, fmt.Sprintf("nobody may reach %s through this forward proxy: forward_proxy.deny has it, or its address", clip([]byte(host))))
}

func unlisted(host string, port uint16) error {
	return fault.New(fault.Forbidden, fmt.Sprintf("the client may not reach %s:%d: no entry of forward_proxy.allow that has the client has the destination", clip([]byte(host)), port))
}

func guarded(host string, ip netip.Addr, special string) error {
	return fault.New(fault.ForbiddenAddress, fmt.Sprintf("%s leads to %s, %s: a forward proxy takes nobody there unless forward_proxy.allow has its network among the client's destinations", clip([]byte(host)), ip, special))
}

const loopbackAddress = "a loopback address"

// specialOf names what is special about an address that is not for others than this
// host, or its own network; "" is nothing.
func specialOf(ip netip.Addr) string {
	switch {
	case ip.IsLoopback():
		return loopbackAddress
	case ip.IsUnspecified(), ip.Is4() && ip.As4()[0] == 0:
		return "an unspecified address, which is this host"
	case ip.IsLinkLocalUnicast(), ip == metadata6:
		return "a link-local address, as metadata services have"
	case ip.IsMulticast():
		return "a multicast address"
	case ip == broadcast:
		return "the broadcast address"
	}
	return ""
}

var (
	broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	// metadata6 is the metadata service of AWS in IPv6: no link-local address, but as good
	// as one.
	metadata6 = netip.MustParseAddr("fd00:ec2::254")
	nat64     = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
)

// embedded is the IPv4 address that an IPv6 address leads to, or the address itself.
func embedded(ip netip.Addr) netip.Addr {
	if nat64.Contains(ip) {
		b := ip.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return ip
}

// isAddress reports whether a host is an address and no name.
func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// isLocalhost reports whether a host is the name that is this host's own everywhere
// (RFC 6761 section 6.3).
func isLocalhost(host string) bool {
	return message.EqualFold(message.BareHost(host), "localhost")
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
