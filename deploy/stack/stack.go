package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/deploy/demo"
)

// options say what the stack has.
type options struct {
	dir, hopscope, admin       string
	rate                       float64
	jaeger, zipkin, prometheus bool
}

// stack is everything that runs.
type stack struct {
	options options
	out     io.Writer
	client  *http.Client

	consul       *backends.ConsulServer
	registry     *api.Client
	jaeger       *backends.JaegerServer // nil without it
	zipkin       *backends.ZipkinServer
	prometheus   *backends.PrometheusServer
	authority    *authority
	good, bad    files                   // certificates of the service without a sidecar
	applications map[string]*application // by service
	sidecars     map[string]*sidecar     // and the gateway

	mu     sync.Mutex // held while faults are switched
	faults []*fault

	processes processes
}

// readyLimit is the time for all to become ready, on a machine that is busy.
const readyLimit = 3 * time.Minute

// runStack runs the stack until ctx ends or one of its processes does.
func runStack(ctx context.Context, o options, out io.Writer) error {
	program, err := filepath.Abs(o.hopscope)
	if err == nil {
		_, err = os.Stat(program)
	}
	if err != nil {
		return fmt.Errorf("--hopscope: %w: build it with make build", err)
	}
	o.hopscope = program
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return err
	}
	socket, err := listen(o.dir)
	if err != nil {
		return err
	}
	defer os.RemoveAll(o.dir)
	defer socket.Close()
	s := &stack{
		options: o, out: out, client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
		applications: map[string]*application{}, sidecars: map[string]*sidecar{}, faults: faults(),
		processes: processes{all: map[*backends.Process]string{}, died: make(chan error, 1)},
	}
	defer s.close()
	if err := s.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // it was ended before it ran
		}
		return err
	}
	introduce(out, s)
	return s.serve(ctx, socket)
}

// serve sends traffic and takes orders until ctx ends, or a process does.
func (s *stack) serve(ctx context.Context, socket net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	control := &http.Server{Handler: s.control(), ReadHeaderTimeout: 10 * time.Second}
	running.Go(func() { _ = control.Serve(socket) }) // it ends by Close alone
	defer control.Close()
	if s.options.rate > 0 {
		running.Go(func() { demo.Traffic(ctx, s.url(), s.options.rate) })
	}
	select {
	case err := <-s.processes.died:
		return err
	case <-ctx.Done():
		return nil
	}
}

// url is where requests from outside go.
func (s *stack) url() string {
	return "http://" + s.sidecars[gateway].inbound + demo.Path(demo.Names()[len(demo.Names())-1])
}

// close ends every process.
func (s *stack) close() {
	s.processes.close()
	s.client.CloseIdleConnections()
}

// start starts everything, what others need first.
func (s *stack) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	fmt.Fprintln(s.out, "starting Consul, the tracing backends and Prometheus; the first time they are built, which takes minutes")
	if err := s.startBackends(ctx); err != nil {
		return err
	}
	if err := s.issueCertificates(); err != nil {
		return err
	}
	names := demo.Names()
	for _, name := range names { // callees come before their callers
		if err := s.startService(ctx, name); err != nil {
			return err
		}
	}
	config := s.gatewayConfig(names[len(names)-1])
	if err := s.startSidecar(ctx, gateway, config); err != nil {
		return err
	}
	for name := range s.sidecars {
		if err := s.awaitReady(ctx, name); err != nil {
			return err
		}
	}
	return s.awaitPassing(ctx, names)
}

// startBackends starts all of them at once.
func (s *stack) startBackends(ctx context.Context) error {
	var starting sync.WaitGroup
	var errs [4]error
	starting.Go(func() { errs[0] = s.startConsul(ctx) })
	if s.options.jaeger {
		starting.Go(func() { errs[1] = s.startJaeger(ctx) })
	}
	if s.options.zipkin {
		starting.Go(func() { errs[2] = s.startZipkin(ctx) })
	}
	if s.options.prometheus {
		starting.Go(func() { errs[3] = s.startPrometheus(ctx) })
	}
	starting.Wait()
	return errors.Join(errs[:]...)
}

func (s *stack) startConsul(ctx context.Context) error {
	c, err := backends.StartConsul(ctx, backends.ConsulOptions{})
	if err != nil {
		return err
	}
	s.consul = c
	s.processes.watch("consul", c.Process)
	s.registry, err = c.Client()
	return err
}

func (s *stack) startJaeger(ctx context.Context) error {
	j, err := backends.StartJaeger(ctx)
	if err != nil {
		return fmt.Errorf("%w\nTo go on without it: --jaeger=false", err)
	}
	s.jaeger = j
	s.processes.watch("jaeger", j.Process)
	return nil
}

func (s *stack) startZipkin(ctx context.Context) error {
	z, err := backends.StartZipkin(ctx)
	if err != nil {
		return fmt.Errorf("%w\nTo go on without it: --zipkin=false", err)
	}
	s.zipkin = z
	s.processes.watch("zipkin", z.Process)
	return nil
}

func (s *stack) startPrometheus(ctx context.Context) error {
	found, err := rules()
	if err != nil {
		return err
	}
	text, err := prometheusConfig(s.targets(), found)
	if err != nil {
		return err
	}
	config := filepath.Join(s.options.dir, "prometheus.yml")
	if err := os.WriteFile(config, text, 0o600); err != nil {
		return err
	}
	p, err := backends.StartPrometheus(ctx, config, s.options.dir)
	if err != nil {
		return fmt.Errorf("%w\nTo go on without it: --prometheus=false", err)
	}
	s.prometheus = p
	s.processes.watch("prometheus", p.Process)
	return nil
}
