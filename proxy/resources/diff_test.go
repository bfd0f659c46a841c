package resources_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/resources"
)

// mesh is a configuration with something of everything, changed by some functions.
func mesh(changes ...func(*config.Config)) *config.Config {
	c := config.New()
	in := config.NewListener("in", "127.0.0.1:8080")
	in.Routes = []config.Route{config.NewRoute("web")}
	out := config.NewListener("out", "127.0.0.1:8081")
	out.TLS = config.NewListenerTLS("out.pem", "out.key")
	out.ForwardProxy, out.Catalog = config.NewForwardProxy(), "consul"
	c.Listeners = []config.Listener{in, out}
	web := config.NewCluster("127.0.0.1:1")
	web.TLS = config.NewClusterTLS()
	asked := config.NewCluster()
	asked.Consul = config.NewConsul("asked")
	zoned := config.NewCluster("127.0.0.1:2")
	zoned.Balance.ZoneAware = true
	c.Clusters = map[string]config.Cluster{"web": web, "asked": asked, "zoned": zoned, "like": config.NewCluster()}
	c.Locality.Zone = "a"
	for _, change := range changes {
		change(c)
	}
	return c
}

// cluster changes a cluster of a configuration.
func cluster(name string, change func(*config.Cluster)) func(*config.Config) {
	return func(c *config.Config) {
		cc := c.Clusters[name]
		change(&cc)
		c.Clusters[name] = cc
	}
}

// said is what a delta says, in short.
func said(d *resources.Delta) (all []string) {
	say := func(what string, names any) {
		if text := fmt.Sprint(names); text != "[]" {
			all = append(all, what+" "+text)
		}
	}
	ids := func(ids []resources.ID) (names []string) {
		for _, id := range ids {
			names = append(names, []string{"", "forward:", "catalog:"}[id.Origin]+id.Name)
		}
		return names
	}
	secrets := func(ids []resources.SecretID) (names []string) {
		for _, id := range ids {
			names = append(names, []string{"upstream:", "downstream:"}[id.Side]+id.Name)
		}
		return names
	}
	say("+listener", d.Listeners.Added)
	say("-listener", d.Listeners.Removed)
	say("listener", d.Listeners.Changed)
	say("socket", d.Sockets)
	if d.Reordered {
		all = append(all, "order")
	}
	say("+routes", ids(d.Routes.Added))
	say("-routes", ids(d.Routes.Removed))
	say("routes", ids(d.Routes.Changed))
	say("+cluster", ids(d.Clusters.Added))
	say("-cluster", ids(d.Clusters.Removed))
	say("cluster", ids(d.Clusters.Changed))
	say("endpoints", ids(d.Endpoints))
	say("kept", ids(d.Kept))
	say("+secret", secrets(d.Secrets.Added))
	say("-secret", secrets(d.Secrets.Removed))
	say("secret", secrets(d.Secrets.Changed))
	say("settings", d.Settings)
	say("fixed", d.Fixed)
	return all
}

func TestDiffOfConfigurations(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*config.Config)
		want   []string
	}{
		{"nothing", func(c *config.Config) {}, nil},
		{"a listener more", func(c *config.Config) {
			c.Listeners = append(c.Listeners, config.NewListener("new", "127.0.0.1:0"))
		}, []string{"+listener [new]", "+routes [new]"}},
		{"a listener with TLS less", func(c *config.Config) { c.Listeners = c.Listeners[:1] },
			[]string{"-listener [out]", "-routes [out]", "-cluster [forward:out]", "-secret [downstream:out]"}},
		{"listeners in another order", func(c *config.Config) { slices.Reverse(c.Listeners) }, []string{"order"}},
		{"an address", func(c *config.Config) { c.Listeners[0].Address = "127.0.0.1:9" }, []string{"listener [in]", "socket [in]"}},
		{"how connections are read", func(c *config.Config) { c.Listeners[0].MaxHeaderBytes = 2048 }, []string{"listener [in]", "socket [in]"}},
		{"what is done with requests", func(c *config.Config) { c.Listeners[0].Via = false }, []string{"listener [in]"}},
		{"a route", func(c *config.Config) { c.Listeners[0].Routes[0].Timeout = time.Hour }, []string{"listener [in]", "routes [in]"}},
		{"a listener's certificate", func(c *config.Config) {
			c.Listeners[1].TLS = config.NewListenerTLS("other.pem", "other.key")
		}, []string{"listener [out]", "socket [out]", "secret [downstream:out]"}},
		{"who may use the forward proxy", func(c *config.Config) {
			c.Listeners[1].ForwardProxy = config.NewForwardProxy()
			c.Listeners[1].ForwardProxy.Deny = []string{"a.test"}
		}, []string{"listener [out]"}},
		{"how the forward proxy connects", func(c *config.Config) {
			c.Listeners[1].ForwardProxy = config.NewForwardProxy()
			c.Listeners[1].ForwardProxy.ConnectTimeout = time.Hour
		}, []string{"listener [out]", "cluster [forward:out]"}},
		{"no forward proxy any more", func(c *config.Config) { c.Listeners[1].ForwardProxy = nil },
			[]string{"listener [out]", "-cluster [forward:out]"}},
		{"a cluster more", func(c *config.Config) { c.Clusters["new"] = config.NewCluster("127.0.0.1:3") }, []string{"+cluster [new]"}},
		{"a cluster with TLS less", func(c *config.Config) { delete(c.Clusters, "web") }, []string{"-cluster [web]", "-secret [upstream:web]"}},
		{"an endpoint", cluster("web", func(c *config.Cluster) { c.Endpoints = []string{"127.0.0.1:9"} }), []string{"cluster [web]"}},
		{"a cluster's TLS", cluster("web", func(c *config.Cluster) { c.TLS = &config.ClusterTLS{SNI: "a.test"} }),
			[]string{"cluster [web]", "secret [upstream:web]"}},
		{"a cluster's protocol, which ALPN goes by", cluster("web", func(c *config.Cluster) { c.Protocol = "http2" }),
			[]string{"cluster [web]", "secret [upstream:web]"}},
		{"plain text", cluster("web", func(c *config.Cluster) { c.TLS = nil }), []string{"cluster [web]", "-secret [upstream:web]"}},
		{"retries", cluster("web", func(c *config.Cluster) { c.Retry = config.NewRetry("reset") }), []string{"routes [in]", "kept [web]"}},
		{"hedging", cluster("web", func(c *config.Cluster) { c.Hedge = config.NewHedge(time.Second) }), []string{"routes [in]", "kept [web]"}},
		{"what is hashed", cluster("web", func(c *config.Cluster) { c.Balance.Hash = []config.HashOn{{Path: true}} }), []string{"routes [in]", "kept [web]"}},
		{"the agent of all", func(c *config.Config) { c.Consul.Address = "127.0.0.1:9" }, []string{"cluster [asked]", "settings [consul]"}},
		{"the agent of one", cluster("asked", func(c *config.Cluster) {
			c.Consul = config.NewConsul("asked")
			c.Consul.Datacenter = "dc2"
		}), []string{"cluster [asked]"}},
		{"an agent that is written though it is the same", cluster("asked", func(c *config.Cluster) {
			c.Consul = config.NewConsul("asked")
			c.Consul.Address = "127.0.0.1:8500"
		}), []string{"kept [asked]"}},
		{"the zone", func(c *config.Config) { c.Locality.Zone = "b" }, []string{"cluster [zoned]", "settings [locality]"}},
		{"settings", func(c *config.Config) { c.Log.Level, c.Drain.Timeout, c.Overload.MaxMemoryBytes = "debug", 0, 1<<30 },
			[]string{"settings [overload drain log]"}},
		{"what can't change", func(c *config.Config) { c.Service, c.UpgradeSocket = "other", "@other" },
			[]string{"fixed [service upgrade_socket]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := resources.Diff(resources.FromConfig(mesh()), resources.FromConfig(mesh(tt.change)))
			if diff := cmp.Diff(tt.want, said(d)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if d.None() != (tt.want == nil) {
				t.Errorf("None is %v", d.None())
			}
		})
	}
}

// From nothing all is added, and to nothing all is removed.
func TestDiffFromAndToNothing(t *testing.T) {
	all := resources.FromConfig(mesh())
	d := resources.Diff(&resources.Set{}, all)
	if len(d.Listeners.Added) != 2 || len(d.Routes.Added) != 2 || len(d.Clusters.Added) != 5 || len(d.Secrets.Added) != 2 {
		t.Errorf("from nothing: %q", said(d))
	}
	d = resources.Diff(all, &resources.Set{})
	if len(d.Listeners.Removed) != 2 || len(d.Routes.Removed) != 2 || len(d.Clusters.Removed) != 5 || len(d.Secrets.Removed) != 2 {
		t.Errorf("to nothing: %q", said(d))
	}
	if !resources.Diff(all, all).None() {
		t.Error("a set differs from itself")
	}
}

func TestJoinAndOf(t *testing.T) {
	file := resources.FromConfig(mesh())
	catalog := fromCatalog(nil, service("web", at("1")))
	both := file.Join(catalog)
	want := []string{"+routes [catalog:consul]", "+cluster [catalog:web]"}
	if diff := cmp.Diff(want, said(resources.Diff(file, both))); diff != "" {
		t.Errorf("a catalog more (-want +got):\n%s", diff)
	}
	if d := resources.Diff(catalog, both.Of(resources.Catalog)); !d.None() {
		t.Errorf("the part of the catalog differs: %q", said(d))
	}
	if !both.ServesCatalog() || catalog.ServesCatalog() {
		t.Error("a listener of the configuration alone serves the catalog")
	}
}

func TestQuestions(t *testing.T) {
	ask := func(changes ...func(*config.Config)) string {
		return resources.FromConfig(mesh(changes...)).Clusters[resources.ID{Name: "asked"}].Question()
	}
	same := ask()
	if got := ask(func(c *config.Config) { c.Consul.Address, c.Consul.Token = "127.0.0.1:9", "secret" }); got != same {
		t.Errorf("another agent is asked %s, not %s", got, same)
	}
	if got := ask(func(c *config.Config) { c.Consul.Datacenter = "dc2" }); got == same {
		t.Errorf("in another datacenter it is asked %s, too", got)
	}
	file := config.Cluster{File: &config.EndpointFile{Path: "endpoints.yaml"}}
	dns := config.Cluster{DNS: config.NewDNS("a.test", 80)}
	for want, c := range map[string]*config.Cluster{
		`file "endpoints.yaml"`: &file,
		`dns {"Name":"a.test","Port":80,"Type":"auto","Mode":"strict"}`: &dns,
		"": {Endpoints: []string{"127.0.0.1:1"}},
	} {
		if got := (&resources.Cluster{Settings: c}).Question(); got != want {
			t.Errorf("asked %s, want %s", got, want)
		}
	}
}

var errAway = errors.New("the agent is away")
