package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/deploy/demo"
)

// startService starts a service's application and its sidecar. The application learns where
// the sidecar takes its calls. The sidecar registers both in Consul; the service that has
// none is registered here.
func (s *stack) startService(ctx context.Context, name string) error {
	first := start{Name: name}
	if !demo.HasSidecar(name) {
		first.Good, first.Bad = s.good, s.bad
	}
	a, err := startApplication(first)
	if err != nil {
		return err
	}
	s.applications[name] = a
	s.processes.watch(name, a.Process)
	if !demo.HasSidecar(name) {
		return s.register(name, a.address)
	}
	if err := s.startSidecar(ctx, name, s.sidecarConfig(name, a.address)); err != nil {
		return err
	}
	_, err = a.tell(order{Proxy: s.sidecars[name].outbound})
	return err
}

// register puts a service into Consul, without a check: it is always taken for healthy.
func (s *stack) register(name, address string) error {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	return s.registry.Agent().ServiceRegister(&api.AgentServiceRegistration{ID: instance(name), Name: name, Address: host, Port: port})
}

// kill ends a service's application and its sidecar at once. Consul is not told.
func (s *stack) kill(name string) {
	s.processes.kill(s.applications[name].Process)
	s.processes.kill(s.sidecars[name].Process)
}

// maintenance has Consul say that a service is critical, or no longer.
func (s *stack) maintenance(name string, on bool) error {
	if on {
		return s.registry.Agent().EnableServiceMaintenance(instance(name), "a fault of the stack")
	}
	return s.registry.Agent().DisableServiceMaintenance(instance(name))
}

// awaitPassing waits until Consul says that every service is healthy.
func (s *stack) awaitPassing(ctx context.Context, names []string) error {
	for _, name := range names {
		err := poll(ctx, s.consul.Process, func() error {
			found, _, err := s.registry.Health().Service(name, "", true, (&api.QueryOptions{}).WithContext(ctx))
			if err == nil && len(found) == 0 {
				err = errors.New("no instance of it is passing")
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("%s in Consul: %w", name, err)
		}
	}
	return nil
}

// issueCertificates makes those of the service without a sidecar, which serves over TLS.
func (s *stack) issueCertificates() (err error) {
	if s.authority, err = newAuthority(s.options.dir); err != nil {
		return err
	}
	for _, name := range demo.Names() {
		if demo.HasSidecar(name) {
			continue
		}
		base := filepath.Join(s.options.dir, name)
		if s.good, err = s.authority.issue(base, name, time.Now().Add(5*day)); err != nil {
			return err
		}
		if s.bad, err = s.authority.issue(base+"-expired", name, time.Now().Add(-time.Hour)); err != nil {
			return err
		}
	}
	return nil
}

// processes are those that run, by what they are. Its methods may be called at any time.
type processes struct {
	mu   sync.Mutex
	all  map[*backends.Process]string
	died chan error // one that was not to end has ended
}

// watch takes a process in.
func (p *processes) watch(name string, of *backends.Process) {
	p.mu.Lock()
	p.all[of] = name
	p.mu.Unlock()
	go func() {
		<-of.Exited()
		if p.forget(of) {
			select {
			case p.died <- fmt.Errorf("%s has ended; its last output:\n%s", name, of.Output()):
			default: // another one was first
			}
		}
	}()
}

// forget reports whether the process was to run on.
func (p *processes) forget(of *backends.Process) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, there := p.all[of]
	delete(p.all, of)
	return there
}

// kill ends a process, which is no reason for the stack to end.
func (p *processes) kill(of *backends.Process) {
	p.forget(of)
	of.Kill()
}

// close ends all of them.
func (p *processes) close() {
	p.mu.Lock()
	all := p.all
	p.all = map[*backends.Process]string{}
	p.mu.Unlock()
	var ending sync.WaitGroup
	for of := range all {
		ending.Go(of.Kill)
	}
	ending.Wait()
}
