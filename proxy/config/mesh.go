package config

// Mesh says which other hopscopes belong to the same mesh. Each then answers for all of
// them: a command that reaches one proxy reaches the mesh. Without it a proxy answers for
// itself alone.
type Mesh struct {
	// Name is the name of the mesh. Proxies of a mesh with another name are not asked.
	Name string `yaml:"name" default:"hopscope" format:"name"`
	// Instance tells the proxies of one service apart. The default is the name of the host
	// and the port of the admin API.
	Instance string `yaml:"instance" format:"name"`
	// Peers are the addresses of the admin APIs of the proxies of the mesh. This one may be
	// among them, so that all can have the same list.
	Peers []string `yaml:"peers" format:"address"`
}

// mesh checks what spans the keys of the mesh.
func (v validator) mesh() {
	if v.config.Mesh != nil && v.config.Admin.Address == "off" {
		v.errs.add(v.root.key("mesh"), `has no effect while admin.address is "off", as members ask each other by the admin API; set admin.address, or remove the key`)
	}
}
