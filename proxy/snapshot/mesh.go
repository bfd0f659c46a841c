package snapshot

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/consul"
	"github.com/hopscope/hopscope/discovery/dns"
	"github.com/hopscope/hopscope/mesh"
	"github.com/hopscope/hopscope/proxy/admin"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/peers"
	"github.com/hopscope/hopscope/proxy/tlsconf"
)

// meshing is what makes this proxy a member of a mesh; nil if it is not.
type meshing struct {
	config       *config.Config
	self         mesh.Member
	tls          *tlsconf.Client // nil without TLS
	caller       *mesh.Caller
	peers        *peers.Peers
	registration *registration // in Consul; nil where there is none
}

// joinMesh finds the members of this proxy's mesh. The admin API's socket is there; its
// answers have the id of the process.
func (p *Proxy) joinMesh(c *config.Config, process string) (*meshing, error) {
	if c.Mesh == nil {
		return nil, nil
	}
	m := &meshing{config: c, self: mesh.Member{
		Service: c.Service, Instance: p.instance(c), Version: p.options.Version, Since: p.started.UTC(), Address: p.AdminAddr().String(),
	}}
	access := mesh.Access{}
	if path := c.Mesh.TokenFile; path != "" {
		var err error
		if access.Tokens, err = mesh.OpenTokens(path); err != nil {
			return nil, err
		}
	}
	sources, err := p.sourcesOfMesh(c)
	if err != nil {
		return nil, err
	}
	if t := c.Mesh.TLS; t != nil {
		m.tls, err = tlsconf.NewClient(tlsconf.ClientOptions{
			Name: "mesh", CA: t.CA, Cert: t.Cert, Key: t.Key, SAN: t.SAN, ALPN: []string{"http/1.1"}, Log: p.options.Log,
		})
		if err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		access.TLS, access.Close = m.tls.Config, m.tls.Close
	}
	m.caller = mesh.NewCaller(access)
	id := m.id()
	m.peers = peers.New(peers.Options{
		Name: c.Mesh.Name, Caller: m.caller, Log: p.options.Log, Self: m.self, Process: process,
		IsSelf: func(address string, metadata map[string]string) bool {
			return metadata[consul.MetadataID] == id || p.leadsHere(address)
		},
	}, c.Mesh.Peers)
	for _, s := range sources {
		m.peers.Follow(s)
	}
	return m, nil
}

// sourcesOfMesh are where members are found beside the configuration.
func (p *Proxy) sourcesOfMesh(c *config.Config) (all []discovery.Source, err error) {
	if c.Mesh.Consul != nil {
		asked := c.ConsulFor(nil)
		client, err := p.agents.client(&asked)
		if err != nil {
			return nil, fmt.Errorf("consul: %w", err)
		}
		s, err := client.Service(consul.Options{
			Service: mesh.ConsulService, Datacenter: asked.Datacenter, Namespace: asked.Namespace, Partition: asked.Partition,
			Stale: asked.Stale, Wait: asked.Wait,
		})
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	if d := c.Mesh.DNS; d != nil {
		s, err := dns.New(dns.Options{Name: d.Name, Port: d.Port, Resolver: d.Resolver})
		if err != nil {
			return nil, fmt.Errorf("dns: %w", err)
		}
		all = append(all, s)
	}
	return all, nil
}

// id is the one by which the admin API is registered in Consul. It stays the same over an
// upgrade.
func (m *meshing) id() string {
	host, _ := os.Hostname()
	_, port, _ := net.SplitHostPort(m.self.Address)
	return fmt.Sprintf("%s-%s-%s-%s", mesh.ConsulService, m.self.Service, host, port)
}

// How often Consul's agent connects to the admin API, and when it takes out one that does
// not answer.
const (
	meshCheckEvery = 10 * time.Second
	meshForgotten  = 10 * time.Minute
)

// register registers the admin API in Consul, from now on.
func (m *meshing) register(p *Proxy) (err error) {
	if m == nil || m.config.Mesh.Consul == nil {
		return nil
	}
	asked, at := m.config.ConsulFor(nil), p.AdminAddr()
	address, check := m.config.Mesh.Consul.Address, reachable(at)
	switch {
	case address != "":
		check = net.JoinHostPort(address, strconv.Itoa(int(at.Port())))
	case !at.Addr().IsUnspecified():
		address = at.Addr().String()
	}
	m.registration, err = register(consul.Registration{
		Name: mesh.ConsulService, ID: m.id(), Address: address, Port: int(at.Port()), Meta: m.self.Metadata(m.config.Mesh.Name),
		Namespace: asked.Namespace, Partition: asked.Partition,
		Checks: []consul.Check{{Name: "admin API of " + m.self.Service, TCP: check, Up: true, Interval: meshCheckEvery, DeregisterAfter: meshForgotten}},
	}, asked, &p.agents, p.options.Log)
	if err != nil {
		return fmt.Errorf("mesh.consul: %w", err)
	}
	return nil
}

// leave takes the admin API out of Consul, unless another process keeps its ID there. A
// second call does nothing. Proxy.reloading is held.
func (m *meshing) leave(ctx context.Context, keep []string) {
	if m != nil {
		m.registration.end(ctx, keep)
		m.registration = nil
	}
}

// ids are those that are registered.
func (m *meshing) ids() []string {
	if m == nil {
		return nil
	}
	return m.registration.ids()
}

// list takes over the peers of another configuration.
func (m *meshing) list(c *config.Config) {
	if m != nil && c.Mesh != nil {
		m.peers.List(c.Mesh.Peers)
	}
}

// options are what the admin API knows of the mesh.
func (m *meshing) options() *admin.Mesh {
	if m == nil {
		return nil
	}
	return &admin.Mesh{Name: m.config.Mesh.Name, Members: m.peers.Members, Send: m.caller.Send}
}

func (m *meshing) close() {
	if m == nil {
		return
	}
	m.peers.Close()
	m.caller.Close()
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
