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
)

// meshing is what makes this proxy a member of a mesh; nil if it is not.
type meshing struct {
	caller *mesh.Caller
	peers  *peers.Peers
}

// joinMesh makes this proxy a member of its mesh. The admin API's socket is there.
func (p *Proxy) joinMesh(c *config.Config) *meshing {
	if c.Mesh == nil {
		return nil
	}
	m := &meshing{caller: mesh.NewCaller(mesh.Access{})}
	m.peers = peers.New(peers.Options{
		Name: c.Mesh.Name, Caller: m.caller, Log: p.options.Log, IsSelf: p.leadsHere,
		Self: mesh.Member{
			Service: c.Service, Instance: p.instance(c), Version: p.options.Version, Since: p.started.UTC(),
			Address: p.AdminAddr().String(),
		},
	}, c.Mesh.Peers)
	return m
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
