package config

// Mesh says which other hopscopes belong to the same mesh. Each then answers for all of
// them: a command that reaches one proxy reaches the mesh. Without it a proxy answers for
// itself alone.
type Mesh struct {
	// Name is the name of the mesh. Proxies of a mesh with another name are not asked, and
	// what they send counts as requests of clients.
	Name string `yaml:"name" default:"hopscope" format:"name"`
	// Instance tells the proxies of one service apart. The default is the name of the host
	// and the port of the admin API.
	Instance string `yaml:"instance" format:"name"`
	// Peers are the addresses of the admin APIs of the proxies of the mesh. This one may be
	// among them, so that all can have the same list.
	Peers []string `yaml:"peers" format:"address"`
	// Consul registers this proxy's admin API with the Consul agent of the top level, as the
	// service hopscope-admin, and finds the others there.
	Consul *MeshConsul `yaml:"consul"`
	// DNS finds the others by a name whose addresses are theirs.
	DNS *MeshDNS `yaml:"dns"`
	// TokenFile is a file of the token that the proxies show when they ask each other. All of
	// them have the same, and whoever has it may read. To replace it, add the new one on a
	// line below, in all proxies; then remove the old one. The proxy reads the file again
	// when it changes.
	TokenFile string `yaml:"token_file" format:"file"`
	// TLS says how the proxies reach each other, which then all serve their admin APIs over
	// TLS.
	TLS *MeshTLS `yaml:"tls"`
}

// MeshConsul registers the admin API in Consul. The agent connects to it to see whether the
// proxy lives. A proxy that ends is taken out, and one that was killed after ten minutes.
type MeshConsul struct {
	// Address is the IP address where the others reach this proxy's admin API. The default
	// is that of admin.address or, if that is every interface, the agent's.
	Address string `yaml:"address" format:"ip"`
}

// MeshDNS is a name in the DNS. Every address that it has is a proxy's.
type MeshDNS struct {
	// Name is the name to look up.
	Name string `yaml:"name" required:"true" format:"domain"`
	// Port is the port of the admin APIs.
	Port int `yaml:"port" default:"9901" min:"1" max:"65535"`
	// Resolver is the DNS server to ask, host and port; the default is the system's servers.
	Resolver string `yaml:"resolver" format:"address"`
}

// MeshTLS encrypts what the proxies of a mesh ask each other. The proxy reads its files
// again when they change.
type MeshTLS struct {
	// CA is the file of the authorities that sign the certificates of the proxies. Whoever
	// shows a certificate of theirs may read.
	CA string `yaml:"ca" required:"true" format:"file"`
	// Cert is the file of the certificate that this proxy shows, as a client and, without
	// admin.tls, as a server. Without one, proxies need a token_file and admin.tls.
	Cert string `yaml:"cert" format:"file"`
	// Key is the file of the certificate's private key.
	Key string `yaml:"key" format:"file"`
	// SAN lists names of which the certificate of a proxy that is asked must have one, as in
	// a cluster's tls. Without any, it must be for the proxy's address.
	SAN []string `yaml:"san" format:"san"`
}

// defaultMesh is the name of a mesh that has none.
const defaultMesh = "hopscope"

// MeshName is the name of the mesh that the proxy belongs to, or would by default.
func (c *Config) MeshName() string {
	if c.Mesh == nil {
		return defaultMesh
	}
	return c.Mesh.Name
}

// mesh checks what spans the keys of the mesh.
func (v validator) mesh() {
	m, p := v.config.Mesh, v.root.key("mesh")
	if m == nil || p.failed {
		return
	}
	if v.config.Admin.Address == "off" {
		v.errs.add(p, `has no effect while admin.address is "off", as members ask each other by the admin API; set admin.address, or remove the key`)
	}
	if m.TLS == nil {
		if v.config.Admin.TLS != nil {
			v.errs.add(v.root.key("admin").key("tls"), "the proxies of the mesh can't ask this one over TLS; set mesh.tls.ca in all of them")
		}
		return
	}
	v.pair(p.key("tls"), m.TLS.Cert, m.TLS.Key)
	if m.TLS.Cert == "" && m.TLS.Key == "" {
		switch {
		case v.config.Admin.TLS == nil:
			v.errs.add(p.key("tls"), "the admin API has no certificate to serve TLS with; set cert and key, or admin.tls")
		case m.TokenFile == "":
			v.errs.add(p.key("tls"), "this proxy has nothing to show to the others; set cert and key, or mesh.token_file")
		}
	}
}
