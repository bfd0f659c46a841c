package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

// Consul is a Consul agent that the endpoints of a mesh come from.
type Consul struct {
	*Process
	Address string // host:port of its HTTP API
	client  *api.Client
}

// StartConsul starts an agent in its development mode, all of its state in memory.
func StartConsul(ctx context.Context, program string) (*Consul, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for try := 1; ; try++ {
		c, err := startConsul(ctx, program)
		if !errors.Is(err, ErrPortTaken) || try == 5 {
			return c, err
		}
	}
}

func startConsul(ctx context.Context, program string) (*Consul, error) {
	host := loopback()
	free, release, err := freeAddresses(host, 5)
	if err != nil {
		return nil, err
	}
	release()
	args := []string{
		"-dev", "-log-level=warn", "-bind=" + host, "-client=" + host, "-node=accuracy",
		"-grpc-port=-1", "-grpc-tls-port=-1", "-hcl=disable_update_check = true",
	}
	for i, name := range []string{"http", "dns", "serf-wan", "serf-lan", "server"} {
		_, port, _ := net.SplitHostPort(free[i])
		args = append(args, "-"+name+"-port="+port)
	}
	p, err := start(program, args, nil, nil, nil)
	if err != nil {
		return nil, err
	}
	c := &Consul{Process: p, Address: free[0]}
	c.client, err = api.NewClient(&api.Config{Address: c.Address, Transport: &http.Transport{DisableKeepAlives: true}})
	if err == nil {
		err = c.awaitReady(ctx)
	}
	if err != nil {
		p.Kill()
		return nil, err
	}
	return c, nil
}

func (c *Consul) awaitReady(ctx context.Context) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		nodes, _, err := c.client.Catalog().Service("consul", "", (&api.QueryOptions{}).WithContext(ctx))
		if err == nil && len(nodes) > 0 {
			return nil
		}
		select {
		case <-c.exited:
			if strings.Contains(c.output.String(), "already in use") {
				return ErrPortTaken
			}
			return fmt.Errorf("consul has ended:\n%s", c.output.String())
		case <-ctx.Done():
			return fmt.Errorf("consul is not ready: %w", errors.Join(err, ctx.Err()))
		case <-ticker.C:
		}
	}
}

// Register puts the only instance of a service into the catalog, as healthy.
func (c *Consul) Register(service, address string) error {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	return c.client.Agent().ServiceRegister(&api.AgentServiceRegistration{
		ID: service, Name: service, Address: host, Port: port,
		Check: &api.AgentServiceCheck{CheckID: "ttl:" + service, Name: "heartbeat", TTL: "1h", Status: api.HealthPassing},
	})
}

// Fail makes the check of a service critical.
func (c *Consul) Fail(service, output string) error {
	return c.client.Agent().UpdateTTL("ttl:"+service, output, api.HealthCritical)
}

// Deregister takes a service out.
func (c *Consul) Deregister(service string) error {
	return c.client.Agent().ServiceDeregister(service)
}

// UseConsul registers all services of the plan, and has sidecars take the endpoints of
// callees from there. The clusters get other names than the services.
func (p *Plan) UseConsul(c *Consul) error {
	p.Consul = c
	for _, s := range p.Services {
		if err := c.Register(s.Name, p.Address(s.Name)); err != nil {
			return err
		}
		p.Sidecars[s.Name]["consul"] = Config{"address": c.Address}
		clusters := p.Sidecars[s.Name]["clusters"].(Config)
		for _, call := range s.Calls {
			cluster, ok := clusters[call.To].(Config)
			if !ok {
				continue // seen before
			}
			delete(clusters, call.To)
			clusters[alias(call.To)] = cluster
			delete(cluster, "endpoints")
			cluster["consul"] = Config{"service": call.To}
			p.Route(s.Name, call.To)["cluster"] = alias(call.To)
		}
	}
	return nil
}

// alias is the name of a callee's cluster if its endpoints come from Consul.
func alias(callee string) string { return "to_" + callee }
