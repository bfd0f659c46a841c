package snapshot

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/consul"
	"github.com/hopscope/hopscope/proxy/config"
)

// Taking a service out of Consul takes at most deregisterLimit. Then others have
// deregisterGrace to hear of it before the proxy stops accepting.
const (
	deregisterLimit = 3 * time.Second
	deregisterGrace = time.Second
)

// registration keeps the service, and this proxy as its sidecar, in Consul.
type registration struct {
	what      consul.Registration
	asked     config.Consul // the agent
	registrar *consul.Registrar
	cancel    context.CancelFunc
	done      sync.WaitGroup
	log       *slog.Logger
	tried     chan struct{} // closed when it was tried once
	once      sync.Once
	new       atomic.Bool // Consul did not know of it
}

// register keeps the service registered from now on.
func register(what consul.Registration, asked config.Consul, a *agents, log *slog.Logger) (*registration, error) {
	client, err := a.client(&asked)
	if err != nil {
		return nil, fmt.Errorf("register.consul: %w", err)
	}
	registrar, err := client.Register(what)
	if err != nil {
		return nil, fmt.Errorf("register.consul: %w", err)
	}
	r := &registration{what: what, asked: asked, registrar: registrar, log: log, tried: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.done.Go(func() { registrar.Run(ctx, r.report) })
	return r, nil
}

// registerAnew registers what a configuration says, in place of the registration
// before; if upgrade is true, that is another process's. A registration of this process
// that is the same goes on. What only the old one had is taken out of Consul when the new
// one passes its checks there.
func (p *Proxy) registerAnew(c *config.Config, upgrade bool) error {
	var now *registration
	if rc := c.Register.Consul; rc != nil {
		asked := c.ConsulFor(nil)
		what := registered(c, rc, &asked, p.Addr)
		if r := p.registration; r != nil && reflect.DeepEqual(r.what, what) && reflect.DeepEqual(r.asked, asked) {
			return nil
		}
		var err error
		if now, err = register(what, asked, &p.agents, p.options.Log); err != nil {
			return err
		}
	}
	if now != nil && (upgrade || p.registration != nil) {
		now.await(p.context)
	}
	p.registration.end(p.context, now.ids())
	p.registration = now
	return nil
}

// Registered returns the IDs that this proxy keeps registered in Consul, for the process
// that it takes over from.
func (p *Proxy) Registered() []string {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	return slices.Concat(p.registration.ids(), p.byTag.ids(), p.mesh.ids())
}

// deregister takes the service out of Consul. It is the first step when the proxy ends.
func (p *Proxy) deregister(ctx context.Context) {
	r := p.registration
	p.registration = nil
	var own sync.WaitGroup
	own.Go(func() { r.end(ctx, nil) })
	named := p.byTag.end(ctx, nil)
	own.Wait()
	if r != nil || named {
		discovery.Sleep(ctx, deregisterGrace)
	}
}

// report says what was done, and what could not be.
func (r *registration) report(did consul.Outcome, err error) {
	defer r.once.Do(func() { close(r.tried) })
	if len(did.Registered) > 0 {
		r.new.Store(true)
		r.log.Info("registered in Consul", "service", r.what.Name, "ids", strings.Join(did.Registered, ", "))
	}
	if len(did.Changed) > 0 {
		r.log.Info("changed what was registered in Consul", "service", r.what.Name, "changed", strings.Join(did.Changed, "; "))
	}
	switch {
	case err != nil:
		r.log.Warn("the service can't be registered in Consul; it is tried again", "service", r.what.Name, "error", err)
	case len(did.Registered)+len(did.Changed) == 0:
		r.log.Info("registered in Consul already, and unchanged", "service", r.what.Name)
	}
}

// await waits until the service, if it is new, passes its checks, and at most warmLimit.
func (r *registration) await(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, warmLimit)
	defer cancel()
	select {
	case <-r.tried:
		if r.new.Load() {
			r.registrar.Passing(ctx)
		}
	case <-ctx.Done():
	}
}

func (r *registration) ids() []string {
	if r == nil {
		return nil
	}
	return r.registrar.IDs()
}

// end stops keeping the service registered. It takes it out of Consul, except for the
// IDs to keep, which others look after now.
func (r *registration) end(ctx context.Context, keep []string) {
	if r == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deregisterLimit) // also where the proxy ends at once
	defer cancel()
	err := r.registrar.Close(ctx, keep...)
	r.cancel()
	r.done.Wait()
	gone := slices.DeleteFunc(r.ids(), func(id string) bool { return slices.Contains(keep, id) })
	switch {
	case err != nil:
		r.log.Warn("the service could not be taken out of Consul", "service", r.what.Name, "error", err)
	case len(gone) > 0:
		r.log.Info("taken out of Consul", "service", r.what.Name, "ids", strings.Join(gone, ", "))
	}
}

// registered returns what to register. Others reach the service through the first
// inbound listener, unless the configuration names another port. The agent checks what
// they come through: the listener, the application behind it, or both. The sidecar is as
// healthy as the service, so that both come and go together.
func registered(c *config.Config, rc *config.RegisterConsul, asked *config.Consul, listening func(string) netip.AddrPort) consul.Registration {
	in := firstInbound(c)
	port, application, local := rc.Port, "", ""
	var address netip.AddrPort
	if in != nil {
		address = listening(in.Name)
		port = cmp.Or(port, int(address.Port()))
		application = firstEndpoint(c, in)
	}
	if address.IsValid() {
		local = checkedAt(rc, address)
	}
	name := cmp.Or(rc.Name, c.Service)
	host, _ := os.Hostname()
	r := consul.Registration{
		Name: name, ID: cmp.Or(rc.ID, fmt.Sprintf("%s-%s-%d", name, host, port)),
		Address: rc.Address, Port: port, Tags: rc.Tags, Meta: rc.Meta, PassingWeight: rc.Weight, WarningWeight: 1,
		Namespace: asked.Namespace, Partition: asked.Partition,
	}
	check := consul.Check{Name: name + ", the application itself"}
	proxy := consul.Check{Name: "hopscope in front of " + name, TCP: local, Up: true}
	if k := rc.Check; k != nil {
		check.HTTP, check.TCP, check.GRPC = k.HTTP, k.TCP, k.GRPC
		check.Interval, check.Timeout, check.DeregisterAfter = k.Interval, k.Timeout, k.DeregisterAfter
		proxy.Interval, proxy.Timeout, proxy.DeregisterAfter = k.Interval, k.Timeout, k.DeregisterAfter
	} else {
		check.TCP = application
	}
	throughProxy := local != "" && port == int(address.Port())
	if rc.Check == nil && application == "" && !throughProxy {
		check.TCP = net.JoinHostPort(cmp.Or(rc.Address, "127.0.0.1"), strconv.Itoa(port))
	}
	if check.HTTP != "" || check.TCP != "" || check.GRPC != "" {
		r.Checks = append(r.Checks, check)
	}
	if throughProxy {
		front := proxy
		front.ID = "proxy"
		r.Checks = append(r.Checks, front)
	}
	if rc.Sidecar && local != "" {
		r.Sidecar = &consul.Sidecar{Address: rc.Address, Port: int(address.Port()), Checks: []consul.Check{proxy}}
	}
	return r
}

// firstInbound returns the listener through which others reach the service, nil for
// none.
func firstInbound(c *config.Config) *config.Listener {
	for i := range c.Listeners {
		if c.Listeners[i].Direction == "inbound" {
			return &c.Listeners[i]
		}
	}
	return nil
}

// firstEndpoint returns the address of the application behind a listener, "" if the
// configuration does not name one.
func firstEndpoint(c *config.Config, l *config.Listener) string {
	for _, r := range l.Routes {
		for _, name := range r.Targets() {
			cc := c.Clusters[name]
			if len(cc.Endpoints) > 0 {
				return cc.Endpoints[0]
			}
			if len(cc.Static) > 0 {
				return cc.Static[0].Address
			}
		}
	}
	return ""
}

// checkedAt returns where the agent, which may run elsewhere, connects to a listening socket.
func checkedAt(rc *config.RegisterConsul, a netip.AddrPort) string {
	if rc.Address != "" && a.Addr().IsUnspecified() {
		return net.JoinHostPort(rc.Address, strconv.Itoa(int(a.Port())))
	}
	return reachable(a)
}

// reachable returns an address on this machine that leads to a listening socket.
func reachable(a netip.AddrPort) string {
	if !a.Addr().IsUnspecified() {
		return a.String()
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(a.Port())))
}
