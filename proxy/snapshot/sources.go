package snapshot

import (
	"fmt"
	"strings"
	"sync"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/consul"
	"github.com/hopscope/hopscope/discovery/dns"
	"github.com/hopscope/hopscope/discovery/file"
	"github.com/hopscope/hopscope/proxy/config"
)

// agents are the Consul agents that the proxy talks to. Each has one client, however many
// clusters ask it.
type agents struct {
	mu      sync.Mutex
	clients map[consul.Connection]*consul.Client
}

// client is the client of an agent.
func (a *agents) client(c *config.Consul) (*consul.Client, error) {
	connection := consul.Connection{Address: c.Address, Token: c.Token, TokenFile: c.TokenFile}
	if t := c.TLS; t != nil {
		connection.Address = "https://" + c.Address
		connection.TLS = consul.TLS{CA: t.CA, Cert: t.Cert, Key: t.Key, ServerName: t.ServerName, Insecure: t.InsecureSkipVerify}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if client := a.clients[connection]; client != nil {
		return client, nil
	}
	client, err := consul.NewClient(connection)
	if err != nil {
		return nil, err
	}
	if a.clients == nil {
		a.clients = map[consul.Connection]*consul.Client{}
	}
	a.clients[connection] = client
	return client, nil
}

func (a *agents) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, client := range a.clients {
		client.Close()
	}
}

// source returns the source of a cluster's endpoints, and its name; nil if the
// configuration itself lists them. known is its last answer, nil for none.
func (a *agents) source(cc *config.Cluster, known *discovery.Known) (source discovery.Source, from string, err error) {
	switch {
	case cc.Consul != nil:
		asked := cc.Consul
		client, err := a.client(asked)
		if err != nil {
			return nil, "", fmt.Errorf("consul: %w", err)
		}
		s, err := client.Service(consul.Options{
			Service: asked.Service, Query: asked.Query, Datacenter: asked.Datacenter, Failover: asked.Failover,
			Namespace: asked.Namespace, Partition: asked.Partition, Tags: asked.Tags, Filter: asked.Filter, Near: asked.Near,
			OnlyPassing: asked.OnlyPassing, Stale: asked.Stale, Wait: asked.Wait, Known: known,
		})
		if err != nil {
			return nil, "", err
		}
		return s, "Consul", nil
	case cc.DNS != nil:
		d := cc.DNS
		o := dns.Options{Name: d.Name, Port: d.Port, Mode: d.Mode, Resolver: d.Resolver, RefreshRate: d.Refresh, MinTTL: d.MinTTL, MaxTTL: d.MaxTTL, Known: known}
		if d.Type != "auto" {
			o.Type = strings.ToUpper(d.Type)
		}
		s, err := dns.New(o)
		if err != nil {
			return nil, "", fmt.Errorf("dns: %w", err)
		}
		return s, "the DNS", nil
	case cc.File != nil:
		s, err := file.New(file.Options{Path: cc.File.Path})
		if err != nil {
			return nil, "", fmt.Errorf("file: %w", err)
		}
		return s, "the file " + cc.File.Path, nil
	}
	return nil, "", nil
}
