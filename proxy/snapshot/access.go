package snapshot

import (
	"crypto/tls"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/hopscope/hopscope/mesh"
	"github.com/hopscope/hopscope/proxy/admin"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/tlsconf"
	"github.com/hopscope/hopscope/telemetry/metrics"
)

// guard is who may ask the admin API, and its TLS.
type guard struct {
	access *admin.Access   // nil lets everyone do everything
	server *tlsconf.Server // nil without TLS
	// refused counts the requests that were refused, by reason.
	refused map[string]*atomic.Uint64
}

// guardAdmin reads the files that say who may ask the admin API.
func (p *Proxy) guardAdmin(c *config.Config) (*guard, error) {
	g := &guard{refused: map[string]*atomic.Uint64{}}
	for _, reason := range []string{"no_credential", "wrong_token", "role", "paced", "forged"} {
		g.refused[reason] = new(atomic.Uint64)
	}
	if err := g.serveTLS(p, c); err != nil {
		return nil, err
	}
	if !c.Guarded() {
		return g, nil
	}
	a := &admin.Access{
		Ready: slices.Contains(c.Admin.Open, "ready"), Metrics: slices.Contains(c.Admin.Open, "metrics"),
		Refused: func(reason string) { g.refused[reason].Add(1) },
	}
	g.access = a
	read := []string{c.Admin.TokenFile}
	if c.Mesh != nil {
		read = append(read, c.Mesh.TokenFile)
	}
	var err error
	if a.Read, err = openTokens(read...); err == nil {
		a.Control, err = openTokens(c.Admin.ControlTokenFile)
	}
	if err == nil && g.server != nil {
		a.Certificate, err = g.roleOf(c)
	}
	if err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

func openTokens(paths ...string) (all []*mesh.Tokens, err error) {
	for _, path := range paths {
		if path == "" {
			continue
		}
		t, err := mesh.OpenTokens(path)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// serveTLS makes the TLS of the admin API: that of admin.tls, else of mesh.tls.
func (g *guard) serveTLS(p *Proxy, c *config.Config) (err error) {
	o := tlsconf.ServerOptions{Name: "admin", ALPN: []string{"http/1.1"}, SessionTickets: true, Log: p.options.Log}
	var ofMesh *config.MeshTLS
	if c.Mesh != nil && c.Mesh.TLS != nil {
		ofMesh = c.Mesh.TLS
		if ofMesh.Cert != "" {
			o.Certificates = []tlsconf.Files{{Cert: ofMesh.Cert, Key: ofMesh.Key}}
		}
		o.ClientCA = ofMesh.CA
	}
	if t := c.Admin.TLS; t != nil {
		o.Certificates = []tlsconf.Files{{Cert: t.Cert, Key: t.Key}}
		o.ClientSAN = t.ClientSAN
		if t.ClientCA != "" {
			o.ClientCA = t.ClientCA
		}
	}
	if len(o.Certificates) == 0 {
		return nil
	}
	if o.ClientCA != "" {
		o.ClientAuth = tlsconf.Request // a token does as well
	}
	if g.server, err = tlsconf.NewServer(o); err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	return nil
}

// roleOf returns what clients with a certificate may do. That they are trusted is seen at
// each request, since the authorities may have changed.
func (g *guard) roleOf(c *config.Config) (func(*tls.ConnectionState) admin.Role, error) {
	var control tlsconf.Names
	if t := c.Admin.TLS; t != nil {
		var err error
		if control, err = tlsconf.ParseNames(t.ControlSAN); err != nil {
			return nil, fmt.Errorf("tls.control_san: %w", err)
		}
	}
	return func(s *tls.ConnectionState) admin.Role {
		leaf := s.PeerCertificates[0]
		switch {
		case g.server.Trusts(leaf, s.PeerCertificates[1:]) != nil:
			return admin.Nobody
		case control.Has(leaf):
			return admin.Controller
		}
		return admin.Reader
	}, nil
}

// tls is nil without TLS.
func (g *guard) tls() *tls.Config {
	if g.server == nil {
		return nil
	}
	return g.server.Config()
}

func (g *guard) close() {
	if g != nil && g.server != nil {
		g.server.Close()
	}
}

// measureAdmin registers what is known of the clients of the admin API.
func (p *Proxy) measureAdmin() {
	service := p.current.Load().config.Service
	p.metrics.Func("hopscope_admin_refused_total", "Requests to the admin API that were refused: no_credential has neither a token nor a certificate, wrong_token a token that nobody has, role may not control, paced has tried too many tokens to sign in, forged has a session but does not come from the console.", metrics.Counter,
		[]string{"service", "reason"}, func(emit func(float64, ...string)) {
			if p.guard == nil {
				return
			}
			for reason, n := range p.guard.refused {
				emit(float64(n.Load()), service, reason)
			}
		})
}
