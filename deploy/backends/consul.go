package backends

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/hashicorp/consul/api"
)

// ConsulServer is a running Consul agent in its development mode: server and client in
// one, all of its state in memory. Its methods are not to be called at the same time.
type ConsulServer struct {
	*Process
	Address    string // host:port of the HTTP API
	URL        string // the same as a URL
	DNS        string // host:port of its DNS, over UDP and TCP
	Datacenter string
	Token      string // of all rights, or "" without ACLs

	wan  string // host:port where other datacentres join it
	args []string
}

// ConsulOptions are what a test may ask of its agent. The zero value is one datacentre
// that everybody may read and write.
type ConsulOptions struct {
	Datacenter string        // dc1 when empty
	Join       *ConsulServer // an agent of another datacentre, to be joined over WAN
	Token      string        // switches ACLs on, all that is not allowed being denied; this token may do all
	HCL        string        // more of the agent's configuration
}

// Consul starts a Consul agent for the test. It is ready when its catalog has a
// leader and its own node, and, with Join, when each datacentre knows of the other.
func Consul(tb testing.TB, o ConsulOptions) *ConsulServer {
	tb.Helper()
	path := Require(tb, "consul")
	c := newConsul(o)
	c.Process = start(tb, "consul", func() (command, error) { return c.plan(path, o) })
	return c
}

// StartConsul starts a Consul agent that runs until Kill.
func StartConsul(ctx context.Context, o ConsulOptions) (_ *ConsulServer, err error) {
	c := newConsul(o)
	c.Process, err = launch(ctx, "consul", func(path string) (command, error) { return c.plan(path, o) })
	return c, err
}

func newConsul(o ConsulOptions) *ConsulServer {
	return &ConsulServer{Datacenter: cmp.Or(o.Datacenter, "dc1"), Token: o.Token}
}

func (c *ConsulServer) plan(path string, o ConsulOptions) (command, error) {
	a, err := freeAddresses(5)
	if err != nil {
		return command{}, err
	}
	c.Address, c.DNS, c.wan = a[0], a[1], a[2]
	c.URL = "http://" + c.Address
	if c.args, err = consulArgs(a, c.Datacenter, o); err != nil {
		return command{}, err
	}
	return c.command(path, o.Join), nil
}

// Restart kills the agent, if Kill has not done so, and starts it again on the same
// ports, without anything that it knew. A datacentre that joined another joins it again.
func (c *ConsulServer) Restart(tb testing.TB) {
	tb.Helper()
	path := Require(tb, "consul")
	c.Kill()
	c.Process = start(tb, "consul", func() (command, error) { return c.command(path, nil), nil })
}

// API is a client of the agent, with its token.
func (c *ConsulServer) API(tb testing.TB) *api.Client {
	tb.Helper()
	client, err := c.Client()
	if err != nil {
		tb.Fatal(err)
	}
	return client
}

// Register puts a service instance, with its checks if it has any, into the agent, or
// changes the one of the same ID.
func (c *ConsulServer) Register(tb testing.TB, service *api.AgentServiceRegistration) {
	tb.Helper()
	if err := c.API(tb).Agent().ServiceRegister(service); err != nil {
		tb.Fatal(err)
	}
}

// Deregister takes a service instance out.
func (c *ConsulServer) Deregister(tb testing.TB, id string) {
	tb.Helper()
	if err := c.API(tb).Agent().ServiceDeregister(id); err != nil {
		tb.Fatal(err)
	}
}

// SetTTL sets a check of the kind TTL to passing, warning or critical. The check of a
// service that gave it no ID is "service:" and the service's ID.
func (c *ConsulServer) SetTTL(tb testing.TB, check, status string) {
	tb.Helper()
	if err := c.API(tb).Agent().UpdateTTL(check, "set by a test", status); err != nil {
		tb.Fatal(err)
	}
}

func consulArgs(a []string, datacenter string, o ConsulOptions) ([]string, error) {
	args := []string{
		"-dev", "-log-level=warn", "-bind=127.0.0.1", "-client=127.0.0.1",
		"-node=" + datacenter + "-node", "-datacenter=" + datacenter,
		"-grpc-port=-1", "-grpc-tls-port=-1",
		"-hcl=disable_update_check = true",
	}
	for i, flag := range []string{"http", "dns", "serf-wan", "serf-lan", "server"} {
		_, port, err := net.SplitHostPort(a[i])
		if err != nil {
			return nil, err
		}
		args = append(args, "-"+flag+"-port="+port)
	}
	if o.Join != nil {
		args = append(args, "-retry-join-wan="+o.Join.wan, "-retry-interval-wan=1s")
	}
	if o.Token != "" {
		args = append(args, fmt.Sprintf(
			`-hcl=acl { enabled = true, default_policy = "deny", tokens { initial_management = %q, agent = %[1]q } }`, o.Token))
	}
	if o.HCL != "" {
		args = append(args, "-hcl="+o.HCL)
	}
	return args, nil
}

func (c *ConsulServer) command(path string, join *ConsulServer) command {
	return command{
		path:    path,
		args:    c.args,
		listens: []string{c.Address, c.DNS, c.wan},
		ready: func(ctx context.Context) error {
			if err := c.ready(ctx); err != nil || join == nil {
				return err
			}
			return errors.Join(c.knows(ctx, join.Datacenter), join.knows(ctx, c.Datacenter))
		},
	}
}

// Client is API without a test.
func (c *ConsulServer) Client() (*api.Client, error) {
	// Connections that are not kept are none that outlive the test.
	return api.NewClient(&api.Config{Address: c.Address, Token: c.Token, Transport: &http.Transport{DisableKeepAlives: true}})
}

func (c *ConsulServer) ready(ctx context.Context) error {
	client, err := c.Client()
	if err != nil {
		return err
	}
	instances, _, err := client.Catalog().Service("consul", "", (&api.QueryOptions{}).WithContext(ctx))
	if err == nil && len(instances) == 0 {
		err = errors.New("its catalog is still empty")
	}
	return err
}

func (c *ConsulServer) knows(ctx context.Context, datacenter string) error {
	client, err := c.Client()
	if err != nil {
		return err
	}
	// Asking for a service there, not for the list of datacentres, which has the other
	// one before a request gets through to it.
	instances, _, err := client.Catalog().Service("consul", "", (&api.QueryOptions{Datacenter: datacenter}).WithContext(ctx))
	if err == nil && len(instances) == 0 {
		err = fmt.Errorf("%s does not know %s yet", c.Datacenter, datacenter)
	}
	return err
}
