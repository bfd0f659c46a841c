package mesh

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Config is a part of a sidecar's configuration file: a mapping of keys to values.
type Config = map[string]any

// Plan is a mesh that does not run yet: its graph, and what its sidecars' files say. A
// fault changes it before [Start].
type Plan struct {
	*Graph
	// Host is the loopback address that all of the mesh listens on. It is the mesh's own
	// where the system allows it, so that no other process takes a port that was let go.
	Host string
	// Sidecars are the configurations, by service. A service without one has no sidecar,
	// and others call its application; it can't call anyone.
	Sidecars map[string]Config
	// Bypassed has the services that others call without their sidecars, which take the
	// services' own calls alone.
	Bypassed map[string]bool
	// OwnProcess has the applications that run as processes of their own.
	OwnProcess map[string]bool
	// NeverReady has the services whose sidecars will not say that they are ready.
	NeverReady map[string]bool
	// Consul is the agent that endpoints come from; nil if they are listed.
	Consul *Consul

	addresses map[string]addresses
	release   func() // lets go of the addresses, for the sidecars
	cleanups  []func()
}

// addresses are where a sidecar listens.
type addresses struct{ in, out, admin string }

// NewPlan chooses addresses and writes the configurations.
func NewPlan(g *Graph) (*Plan, error) {
	host := loopback()
	free, release, err := freeAddresses(host, 3*len(g.Services))
	if err != nil {
		return nil, err
	}
	p := &Plan{
		Host: host, release: release,
		Graph: g, Sidecars: map[string]Config{}, OwnProcess: map[string]bool{}, Bypassed: map[string]bool{},
		NeverReady: map[string]bool{}, addresses: map[string]addresses{},
	}
	for i, s := range g.Services {
		p.addresses[s.Name] = addresses{free[3*i], free[3*i+1], free[3*i+2]}
	}
	for _, s := range g.Services {
		p.Sidecars[s.Name] = p.sidecar(s)
	}
	return p, nil
}

// sidecar is the configuration of a service's proxy. Its own application's address comes
// with [Start], and so does the path of its access log.
func (p *Plan) sidecar(s *Service) Config {
	at := p.addresses[s.Name]
	timeout := s.Timeout.String()
	clusters := Config{"app": cluster(s.GRPC, "")}
	routes := []any{}
	for _, c := range s.Calls {
		if clusters[c.To] != nil {
			continue
		}
		clusters[c.To] = cluster(c.GRPC, p.addresses[c.To].in)
		routes = append(routes, Config{"name": c.To, "match": Config{"hosts": []string{c.To}}, "cluster": c.To, "timeout": timeout})
	}
	listeners := []any{Config{"name": "inbound", "address": at.in, "routes": []any{Config{"cluster": "app", "timeout": timeout}}}}
	if len(routes) > 0 {
		listeners = append(listeners, Config{"name": "outbound", "address": at.out, "direction": "outbound", "routes": routes})
	}
	return Config{
		"service":   s.Name,
		"admin":     Config{"address": at.admin},
		"listeners": listeners,
		"clusters":  clusters,
		"telemetry": Config{
			"slow_threshold": "400ms",
			"store":          Config{"max_bytes": 8 << 20},
		},
	}
}

func cluster(grpc bool, endpoint string) Config {
	c := Config{"endpoints": []string{endpoint}}
	if grpc {
		c["protocol"] = "http2"
	}
	return c
}

// Cluster is what a service's sidecar knows of a callee; of its own application with
// "app".
func (p *Plan) Cluster(service, callee string) Config {
	clusters := p.Sidecars[service]["clusters"].(Config)
	if c, ok := clusters[alias(callee)].(Config); ok {
		return c
	}
	return clusters[callee].(Config)
}

// Inbound is the listener of a service's sidecar that takes requests to it.
func (p *Plan) Inbound(service string) Config {
	return p.Sidecars[service]["listeners"].([]any)[0].(Config)
}

// Outbound is the listener that takes the service's own calls. There is none if it calls
// nobody.
func (p *Plan) Outbound(service string) Config {
	return p.Sidecars[service]["listeners"].([]any)[1].(Config)
}

// Route is the route of a call in the caller's sidecar.
func (p *Plan) Route(caller, callee string) Config {
	for _, r := range p.Outbound(caller)["routes"].([]any) {
		if r.(Config)["name"] == callee {
			return r.(Config)
		}
	}
	return nil
}

// Address is where the sidecar of a service takes requests to it.
func (p *Plan) Address(service string) string { return p.addresses[service].in }

// OnClose calls f when the mesh has ended.
func (p *Plan) OnClose(f func()) { p.cleanups = append(p.cleanups, f) }

// Close undoes what was made for the plan. The mesh does it if there is one.
func (p *Plan) Close() {
	p.release()
	for _, f := range p.cleanups {
		f()
	}
	p.cleanups = nil
}

// loopback returns an address of 127.0.0.0/8 that hardly anyone else listens on, or
// 127.0.0.1 if the system has no other.
func loopback() string {
	host := fmt.Sprintf("127.%d.%d.%d", 64+rand.IntN(64), rand.IntN(256), 1+rand.IntN(254))
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		return "127.0.0.1"
	}
	l.Close()
	return host
}

// freeAddresses returns n addresses with free ports, and keeps them until release.
func freeAddresses(host string, n int) (all []string, release func(), err error) {
	var held []net.Listener
	release = func() {
		for _, l := range held {
			l.Close()
		}
	}
	for range n {
		l, err := net.Listen("tcp", host+":0")
		if err != nil {
			release()
			return nil, nil, fmt.Errorf("no free port: %w", err)
		}
		held = append(held, l)
		all = append(all, l.Addr().String())
	}
	return all, release, nil
}
