package snapshot

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"

	"github.com/hopscope/hopscope/mesh"
	"github.com/hopscope/hopscope/proxy/admin"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/peers"
	"github.com/hopscope/hopscope/proxy/tlsconf"
)

// meshing is what makes this proxy a member of a mesh; nil if it is not.
type meshing struct {
	tls    *tlsconf.Client // nil without TLS
	caller *mesh.Caller
	peers  *peers.Peers
}

// joinMesh makes this proxy a member of its mesh. The admin API's socket is there.
func (p *Proxy) joinMesh(c *config.Config) (*meshing, error) {
	if c.Mesh == nil {
		return nil, nil
	}
	m, access := &meshing{}, mesh.Access{}
	if path := c.Mesh.TokenFile; path != "" {
		var err error
		if access.Tokens, err = mesh.OpenTokens(path); err != nil {
			return nil, err
		}
	}
	if t := c.Mesh.TLS; t != nil {
		var err error
		m.tls, err = tlsconf.NewClient(tlsconf.ClientOptions{
			Name: "mesh", CA: t.CA, Cert: t.Cert, Key: t.Key, SAN: t.SAN, ALPN: []string{"http/1.1"}, Log: p.options.Log,
		})
		if err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		access.TLS = m.tls.Config
	}
	m.caller = mesh.NewCaller(access)
	m.peers = peers.New(peers.Options{
		Name: c.Mesh.Name, Caller: m.caller, Log: p.options.Log, IsSelf: p.leadsHere,
		Self: mesh.Member{
			Service: c.Service, Instance: p.instance(c), Version: p.options.Version, Since: p.started.UTC(),
			Address: p.AdminAddr().String(),
		},
	}, c.Mesh.Peers)
	return m, nil
}

// options are what the admin API knows of the mesh.
func (m *meshing) options(c *config.Config) *admin.Mesh {
	if m == nil {
		return nil
	}
	return &admin.Mesh{Name: c.Mesh.Name, Members: m.peers.Members, Send: m.caller.Send}
}

func (m *meshing) close() {
	if m != nil {
		m.peers.Close()
		m.caller.Close()
		if m.tls != nil {
			m.tls.Close()
		}
	}
}

// instance tells this proxy from others of its service.
func (p *Proxy) instance(c *config.Config) string {
	if c.Mesh != nil && c.Mesh.Instance != "" {
		return c.Mesh.Instance
	}
	host, _ := os.Hostname()
	return fmt.Sprintf("%s:%d", cmp.Or(host, "localhost"), p.AdminAddr().Port())
}

// leadsHere reports whether an address leads to this proxy's admin API.
func (p *Proxy) leadsHere(address string) bool {
	host, text, err := net.SplitHostPort(address)
	port, e := strconv.ParseUint(text, 10, 16)
	if err != nil || e != nil || p.adminSocket == nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	if host == "localhost" {
		ip, err = netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
	}
	return err == nil && leadsTo(netip.AddrPortFrom(ip, uint16(port)), p.AdminAddr())
}
