package cluster

import "cmp"

// naming is what the service behind a cluster says of itself.
type naming struct {
	status string // the Proxy-Status that said so
	name   string
}

// Service is the name of the service behind the cluster: what the configuration or the
// catalog calls it, or else what its own proxy does; "" if nothing is known of it. It is
// not the cluster's name, which is for the caller's own use.
func (c *Cluster) Service() string {
	if n := c.naming.Load(); n != nil {
		return cmp.Or(c.options.Service, n.name)
	}
	return c.options.Service
}

// Proxied reports whether the service is known to be behind a proxy of the mesh.
func (c *Cluster) Proxied() bool { return c.naming.Load() != nil }

// Knows reports whether a Proxy-Status tells nothing new of the service's name. It
// allocates nothing.
func (c *Cluster) Knows(status []byte) bool {
	n := c.naming.Load()
	return n != nil && n.status == string(status)
}

// Named keeps the name that the service's proxy gave it in a Proxy-Status.
func (c *Cluster) Named(name string, status []byte) {
	c.naming.Store(&naming{string(status), name})
}
