package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/snapshot"
)

// The two listeners of each sidecar.
const (
	inbound  = "inbound"
	outbound = "outbound"
)

// How the mesh misbehaves.
const (
	outage   = 200 * time.Millisecond  // of the bank
	slowness = 1500 * time.Millisecond // of the slow service
)

// storeBytes is the memory that each sidecar keeps recent hops in.
const storeBytes = 4 << 20

// mesh is the running services and their sidecars.
type mesh struct {
	graph    []node
	services []*service
	bank     *bank
	sidecars []sidecar
	ingress  map[string]string // where requests to a service go, by its name

	serving sync.WaitGroup
	stop    context.CancelFunc // ends the bank's coming and going
	failed  chan error         // why a service stopped serving by itself
}

// sidecar is the proxy of one service.
type sidecar struct {
	service string
	config  *config.Config
	proxy   *snapshot.Proxy
}

// startMesh starts every service and its sidecar. On an error nothing is left
// running.
func startMesh(o Options) (*mesh, error) {
	m := &mesh{graph: graph(), ingress: map[string]string{}}
	m.failed = make(chan error, len(m.graph)+1) // the admin API is served here, too
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	for _, n := range m.graph {
		if err := m.start(ctx, n, o); err != nil {
			return nil, errors.Join(err, m.close(time.Second))
		}
	}
	return m, nil
}

// start starts one service whose callees run already.
func (m *mesh) start(ctx context.Context, n node, o Options) error {
	s, err := newService(n, m.graph, o.Log, trouble(n, o))
	if err != nil {
		return err
	}
	m.services = append(m.services, s)
	app := s.listener.Addr().String()
	if n.name == outside {
		m.ingress[n.name] = app
		m.bank = &bank{service: s, every: o.outageEvery, away: outage}
		m.serve(func() error { return m.bank.run(ctx) })
		return nil
	}
	c := m.sidecarConfig(n, app)
	p, err := snapshot.Start(c, snapshot.Options{Log: o.Log, Level: o.Level, Version: o.Version})
	if err != nil {
		return fmt.Errorf("demo: sidecar of %s: %w", n.name, err)
	}
	m.sidecars = append(m.sidecars, sidecar{n.name, c, p})
	m.ingress[n.name] = p.Addr(inbound).String()
	s.connect(p.Addr(outbound).String())
	m.serve(s.serve)
	return nil
}

// serve runs f until close and keeps its error.
func (m *mesh) serve(f func() error) {
	m.serving.Go(func() {
		if err := f(); err != nil {
			m.failed <- err
		}
	})
}

// sidecarConfig is what a file for "hopscope run -c" would say: requests that
// come in go to the application, requests that go out find the services that
// it calls by their names.
func (m *mesh) sidecarConfig(n node, app string) *config.Config {
	c := config.New()
	c.Service = n.name
	c.Admin.Address = "127.0.0.1:0"
	c.Telemetry.AccessLog.Path = "off"
	c.Telemetry.Store.MaxBytes = storeBytes
	c.Clusters[n.name] = config.NewCluster(app)

	in := config.NewListener(inbound, "127.0.0.1:0")
	in.Routes = []config.Route{config.NewRoute(n.name)}

	out := config.NewListener(outbound, "127.0.0.1:0")
	out.Direction, out.Path = "outbound", config.OutboundPath()
	out.ForwardProxy = config.NewForwardProxy()
	for _, callee := range n.calls {
		r := config.NewRoute(callee)
		r.Name = callee
		r.Match.Hosts = []string{callee}
		out.Routes = append(out.Routes, r)
		c.Clusters[callee] = config.NewCluster(m.ingress[callee])
	}
	c.Listeners = []config.Listener{in, out}
	return c
}

// trouble is how long requests to a service take beyond its work.
func trouble(n node, o Options) func(served int64) time.Duration {
	return func(served int64) time.Duration {
		if n.name == slowService && served%o.slowEvery == 0 {
			return slowness
		}
		return 0
	}
}

// close drains the sidecars, callers before callees, and then ends the
// services. What the sidecars recorded can be asked for afterwards.
func (m *mesh) close(grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	var errs []error
	for _, s := range slices.Backward(m.sidecars) {
		if err := s.proxy.Close(ctx); err != nil {
			errs = append(errs, fmt.Errorf("demo: sidecar of %s: %w", s.service, err))
		}
	}
	m.stop()
	for _, s := range m.services {
		s.close()
	}
	m.serving.Wait()
	return errors.Join(errs...)
}

// flush waits until what the sidecars have recorded can be asked for.
func (m *mesh) flush(ctx context.Context) error {
	for _, s := range m.sidecars {
		if err := s.proxy.Flush(ctx); err != nil {
			return fmt.Errorf("demo: sidecar of %s: %w", s.service, err)
		}
	}
	return nil
}

// requests is how many requests the mesh has taken so far.
func (m *mesh) requests() int64 {
	for _, s := range m.services {
		if s.name == entry {
			return s.served.Load()
		}
	}
	return 0
}
