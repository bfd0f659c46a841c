package config

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestConsulFor(t *testing.T) {
	agentTLS, ownTLS := &ConsulTLS{CA: "agent.pem"}, &ConsulTLS{CA: "own.pem"}
	top := Consul{Address: "agent:8501", TokenFile: "agent.token", TLS: agentTLS, Datacenter: "dc1", Namespace: "ns1", Partition: "p1",
		Stale: true, Wait: time.Minute}
	asked := Consul{Service: "web", Tags: []string{"v2"}, Filter: "f", Near: "_agent", OnlyPassing: true, Failover: []string{"dc3"}}
	with := func(c Consul, change func(*Consul)) Consul {
		change(&c)
		return c
	}
	inherited := with(asked, func(c *Consul) {
		c.Address, c.TokenFile, c.TLS, c.Datacenter, c.Namespace, c.Partition = "agent:8501", "agent.token", agentTLS, "dc1", "ns1", "p1"
		c.Stale, c.Wait = true, time.Minute
	})
	own := with(asked, func(c *Consul) {
		c.Address, c.Token, c.TLS, c.Datacenter, c.Namespace, c.Partition = "other:8500", "t", ownTLS, "dc2", "ns2", "p2"
		c.Stale, c.Wait = true, time.Second
	})
	bare := Consul{Address: "127.0.0.1:8500", Wait: 5 * time.Minute}
	tests := []struct {
		name    string
		top     Consul
		cluster *Consul
		want    Consul
	}{
		{"all of the top level", top, &asked, inherited},
		{"all its own", top, &own, own},
		{"the defaults", New().Consul, NewConsul("web"), with(bare, func(c *Consul) { c.Service = "web" })},
		{"no cluster", top, nil, top},
		{"no cluster, the defaults", New().Consul, nil, bare},
		{"a file in place of a token", Consul{Token: "t"}, &Consul{TokenFile: "f"}, Consul{Address: "127.0.0.1:8500", TokenFile: "f", Wait: 5 * time.Minute}},
		{"a token", Consul{Token: "t"}, &Consul{}, Consul{Address: "127.0.0.1:8500", Token: "t", Wait: 5 * time.Minute}},
		{"stale by itself", Consul{}, &Consul{Stale: true}, Consul{Address: "127.0.0.1:8500", Stale: true, Wait: 5 * time.Minute}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := New()
			c.Consul = tt.top
			before := New()
			before.Consul = tt.top
			if d := cmp.Diff(tt.want, c.ConsulFor(tt.cluster)); d != "" {
				t.Error(d)
			}
			if d := diff(before, c); d != "" {
				t.Errorf("the configuration changed: %s", d)
			}
		})
	}
}

func TestHedgingOfRoute(t *testing.T) {
	wideHedge, narrowHedge, none := NewHedge(time.Second), NewHedge(time.Minute), NewHedge(time.Minute)
	none.Attempts = 1
	c := New()
	with := NewCluster("a:80")
	with.Hedge = wideHedge
	c.Clusters["with"], c.Clusters["without"] = with, NewCluster("b:80")
	tests := []struct {
		name  string
		route Route
		hedge *Hedge
	}{
		{"the cluster's", NewRoute("with"), wideHedge},
		{"neither", NewRoute("without"), nil},
		{"no such cluster", NewRoute("absent"), nil},
		{"its own in place of the cluster's", Route{Cluster: "with", Hedge: narrowHedge}, narrowHedge},
		{"its own alone", Route{Cluster: "without", Hedge: narrowHedge}, narrowHedge},
		{"no hedging in place of the cluster's", Route{Cluster: "with", Hedge: none}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := c.HedgeFor(&tt.route, tt.route.Cluster); got != tt.hedge {
				t.Errorf("hedge %+v, want %+v", got, tt.hedge)
			}
		})
	}
}

// A policy of one attempt is how retries are turned off, and needs nothing besides.
func TestRetryOff(t *testing.T) {
	c := mustParse(t, "clusters: {web: {endpoints: [a:80], retry: {attempts: 1}}}\nlisteners: [{name: in, address: ':80', routes: [{cluster: web}]}]\n")
	if r := c.Clusters["web"].Retry; r == nil || r.Attempts != 1 || len(r.On) != 0 {
		t.Errorf("%+v", r)
	}
}
