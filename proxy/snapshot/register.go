package snapshot

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/consul"
	"github.com/hopscope/hopscope/proxy/config"
)

// Taking a service out of Consul takes at most so long; others then have a moment to
// hear of it, before the proxy stops accepting.
const (
	deregisterLimit = 3 * time.Second
	deregisterGrace = time.Second
)

// registration keeps the service, and this proxy as its sidecar, in Consul.
type registration struct {
	registrar *consul.Registrar
	cancel    context.CancelFunc
	done      sync.WaitGroup
	log       *slog.Logger
	name, id  string
}

// register begins to keep the service registered; nil where that is not asked for.
// listening are the addresses of the listeners, by name.
func register(c *config.Config, a *agents, listening func(name string) netip.AddrPort, log *slog.Logger) (*registration, error) {
	rc := c.Register.Consul
	if rc == nil {
		return nil, nil
	}
	asked := c.ConsulFor(nil)
	client, err := a.client(&asked)
	if err != nil {
		return nil, fmt.Errorf("register.consul: %w", err)
	}
	what := registered(c, rc, &asked, listening)
	registrar, err := client.Register(what)
	if err != nil {
		return nil, fmt.Errorf("register.consul: %w", err)
	}
	r := &registration{registrar: registrar, log: log, name: what.Name, id: what.ID}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.done.Go(func() { registrar.Run(ctx, r.report) })
	return r, nil
}

// registerAnew registers what a configuration says in the place of what the one
// before did.
func (p *Proxy) registerAnew(c *config.Config) error {
	now, err := register(c, &p.agents, p.Addr, p.options.Log)
	if err != nil {
		return err
	}
	if before := p.registration; before != nil {
		if now != nil && now.id == before.id {
			before.leave()
		} else {
			before.end(p.context)
		}
	}
	p.registration = now
	return nil
}

// deregister takes the service out of Consul, first of all when the proxy ends.
func (p *Proxy) deregister(ctx context.Context) {
	r := p.registration
	if r == nil {
		return
	}
	p.registration = nil
	r.end(ctx)
	discovery.Sleep(ctx, deregisterGrace)
}

func (r *registration) report(err error) {
	if err != nil {
		r.log.Warn("the service can't be registered in Consul; it is tried again", "service", r.name, "error", err)
		return
	}
	r.log.Info("registered in Consul", "service", r.name)
}

// leave stops keeping the service registered, and leaves it in Consul: another
// process does that now.
func (r *registration) leave() {
	if r == nil {
		return
	}
	r.cancel()
	r.done.Wait()
}

// end takes the service out of Consul, and says so.
func (r *registration) end(ctx context.Context) {
	if r == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deregisterLimit) // also where the proxy ends at once
	defer cancel()
	err := r.registrar.Close(ctx)
	r.cancel()
	r.done.Wait()
	if err != nil {
		r.log.Warn("the service could not be taken out of Consul", "service", r.name, "error", err)
		return
	}
	r.log.Info("taken out of Consul", "service", r.name)
}

// registered is what Consul is told of the service. Others come by the first
// inbound listener, and the agent looks after the application behind it.
func registered(c *config.Config, rc *config.RegisterConsul, asked *config.Consul, listening func(string) netip.AddrPort) consul.Registration {
	in := firstInbound(c)
	port, application := rc.Port, ""
	var address netip.AddrPort
	if in != nil {
		address = listening(in.Name)
		port = cmp.Or(port, int(address.Port()))
		application = firstEndpoint(c, in)
	}
	name := cmp.Or(rc.Name, c.Service)
	host, _ := os.Hostname()
	r := consul.Registration{
		Name: name, ID: cmp.Or(rc.ID, fmt.Sprintf("%s-%s-%d", name, host, port)),
		Address: rc.Address, Port: port, Tags: rc.Tags, Meta: rc.Meta, PassingWeight: rc.Weight, WarningWeight: 1,
		Namespace: asked.Namespace, Partition: asked.Partition,
	}
	local := ""
	if address.IsValid() {
		local = reachable(address)
	}
	switch k := rc.Check; {
	case k != nil:
		r.Check = consul.Check{HTTP: k.HTTP, TCP: k.TCP, GRPC: k.GRPC, Interval: k.Interval, Timeout: k.Timeout, DeregisterAfter: k.DeregisterAfter}
	case application != "":
		r.Check = consul.Check{TCP: application}
	case local != "":
		r.Check = consul.Check{TCP: local}
	}
	if rc.Sidecar && address.IsValid() {
		r.Sidecar = &consul.Sidecar{Address: rc.Address, Port: int(address.Port()), Check: consul.Check{TCP: local}}
	}
	return r
}

// firstInbound is the listener that others reach the service by, nil for none.
func firstInbound(c *config.Config) *config.Listener {
	for i := range c.Listeners {
		if c.Listeners[i].Direction == "inbound" {
			return &c.Listeners[i]
		}
	}
	return nil
}

// firstEndpoint is the application behind a listener, as far as the configuration
// itself names it.
func firstEndpoint(c *config.Config, l *config.Listener) string {
	for _, r := range l.Routes {
		cc := c.Clusters[r.Cluster]
		if len(cc.Endpoints) > 0 {
			return cc.Endpoints[0]
		}
		if len(cc.Static) > 0 {
			return cc.Static[0].Address
		}
	}
	return ""
}

// reachable is an address on this machine that leads to what is listened on.
func reachable(a netip.AddrPort) string {
	if !a.Addr().IsUnspecified() {
		return a.String()
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(a.Port())))
}
