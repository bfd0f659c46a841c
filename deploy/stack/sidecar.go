package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/deploy/demo"
)

// The name of the mesh, and of the proxy before it.
const (
	meshName = "stack"
	gateway  = "gateway"
)

// timeout is that of every call. Each hop gives up a little before its caller does.
const timeout = "3s"

// mapping is a part of a configuration file.
type mapping map[string]any

// sidecar is a running hopscope.
type sidecar struct {
	*backends.Process
	admin, inbound, outbound string // addresses
}

// configure is the part that all proxies of the stack have.
func (s *stack) configure(service, admin string) mapping {
	traces := mapping{}
	if s.jaeger != nil {
		traces["otlp"] = mapping{"endpoint": s.jaeger.OTLPgRPC}
	}
	if s.zipkin != nil {
		traces["zipkin"] = mapping{"url": s.zipkin.Spans}
	}
	return mapping{
		"service":   service,
		"admin":     mapping{"address": admin},
		"consul":    mapping{"address": s.consul.Address},
		"mesh":      mapping{"name": meshName, "instance": service + "-1", "consul": mapping{}},
		"telemetry": mapping{"traces": traces, "access_log": mapping{"path": "off"}, "slow_threshold": "1s"},
	}
}

// gatewayConfig takes requests from outside, and sends them to the service that takes them.
func (s *stack) gatewayConfig(entry string) mapping {
	c := s.configure(gateway, freeOr(s.options.admin))
	c["listeners"] = []mapping{{
		"name": "inbound", "address": "127.0.0.1:0",
		"routes": []mapping{{"cluster": entry, "timeout": timeout}},
	}}
	c["clusters"] = mapping{entry: mapping{"consul": mapping{"service": entry}}}
	return c
}

// freeOr is the address, or a free port of its host if somebody listens there.
func freeOr(address string) string {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		host, _, _ := net.SplitHostPort(address)
		return net.JoinHostPort(host, "0")
	}
	if err == nil {
		l.Close()
	}
	return address
}

// sidecarConfig puts a proxy in front of an application, and behind it for its calls.
func (s *stack) sidecarConfig(name, application string) mapping {
	c := s.configure(name, "127.0.0.1:0")
	clusters := mapping{name: mapping{"endpoints": []string{application}}}
	routes := []mapping{}
	for _, callee := range demo.Callees(name) {
		routes = append(routes, mapping{
			"name": callee, "match": mapping{"hosts": []string{callee}}, "cluster": callee, "timeout": timeout,
		})
		cluster := mapping{"consul": mapping{"service": callee}}
		if !demo.HasSidecar(callee) {
			cluster["tls"] = mapping{"ca": s.authority.file, "sni": callee}
		}
		clusters[callee] = cluster
	}
	c["clusters"] = clusters
	c["listeners"] = []mapping{
		{"name": "inbound", "address": "127.0.0.1:0", "routes": []mapping{{"cluster": name, "timeout": timeout}}},
		{"name": "outbound", "address": "127.0.0.1:0", "direction": "outbound", "forward_proxy": mapping{}, "routes": routes},
	}
	c["register"] = mapping{"consul": mapping{
		"id": instance(name), "address": "127.0.0.1",
		"check": mapping{"tcp": application, "interval": "1s"},
	}}
	return c
}

// instance is the id of the only instance of a service in Consul.
func instance(service string) string { return service + "-1" }

// startSidecar runs hopscope with a configuration, and returns when it listens.
func (s *stack) startSidecar(ctx context.Context, name string, config mapping) error {
	file := filepath.Join(s.options.dir, name+".yaml")
	text, err := json.MarshalIndent(config, "", "  ") // YAML includes JSON
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	p, err := backends.Spawn(name, exec.Command(s.options.hopscope, "run", "-c", file))
	if err != nil {
		return err
	}
	s.processes.watch("the proxy of "+name, p)
	c := &sidecar{Process: p}
	patterns := map[string]*string{
		`msg=listening listener=inbound address=(\S+)`: &c.inbound,
		`msg="admin API" url=http://([^/ ]+)/`:         &c.admin,
	}
	if len(config["listeners"].([]mapping)) > 1 {
		patterns[`msg=listening listener=outbound address=(\S+)`] = &c.outbound
	}
	for pattern, address := range patterns {
		if *address, err = said(ctx, p, pattern); err != nil {
			return fmt.Errorf("the proxy of %s: %w\n%s", name, err, p.Output())
		}
	}
	s.sidecars[name] = c
	return s.writeTargets()
}

// said waits until a process has said what the pattern matches, and returns its group.
func said(ctx context.Context, p *backends.Process, pattern string) (group string, err error) {
	re := regexp.MustCompile(pattern)
	err = poll(ctx, p, func() error {
		m := re.FindStringSubmatch(p.Output())
		if m == nil {
			return fmt.Errorf("it has not said %s", pattern)
		}
		group = m[1]
		return nil
	})
	return group, err
}

// awaitReady waits until a proxy takes traffic: it has heard of the services that it calls.
func (s *stack) awaitReady(ctx context.Context, name string) error {
	c := s.sidecars[name]
	err := poll(ctx, c.Process, func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.admin+"/ready", nil)
		if err != nil {
			return err
		}
		resp, err := s.client.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("it answers %s", resp.Status)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("the proxy of %s is not ready: %w\n%s", name, err, c.Output())
	}
	return nil
}

// poll asks until the answer is nil, the process has ended or ctx is done.
func poll(ctx context.Context, p *backends.Process, ask func() error) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-p.Exited():
			return fmt.Errorf("it has ended: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-ticker.C:
		}
	}
}
