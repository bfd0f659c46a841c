package consul_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/consul"
)

func watchCatalog(t *testing.T, client *consul.Client, o consul.CatalogOptions) *record[consul.CatalogUpdate] {
	t.Helper()
	o.Backoff = quick
	catalog, err := client.Catalog(o)
	if err != nil {
		t.Fatal(err)
	}
	return watch(t, catalog.Run)
}

// has wants a service's instances, of a Consul that works.
func has(name, want string) func(consul.CatalogUpdate) bool {
	return func(u consul.CatalogUpdate) bool { return u.Err == nil && instances(u, name) == want }
}

// instances writes those of a service as brief does, "none" if there is no such service.
func instances(u consul.CatalogUpdate, name string) string {
	all, ok := u.Services[name]
	if !ok {
		return "none"
	}
	var endpoints []discovery.Endpoint
	for _, i := range all {
		endpoints = append(endpoints, i.Endpoint)
	}
	return brief(endpoints)
}

func named(name string) func(*api.AgentServiceRegistration) {
	return func(s *api.AgentServiceRegistration) {
		s.Name, s.ID = name, fmt.Sprint(name, s.Port)
	}
}

func unchecked(s *api.AgentServiceRegistration) { s.Check = nil }

func TestWatchesTheCatalog(t *testing.T) {
	server, client := agent(t)
	updates := watchCatalog(t, client, consul.CatalogOptions{})
	updates.await(t, "Consul alone", func(u consul.CatalogUpdate) bool {
		return len(u.Services) == 1 && instances(u, "consul") != "none"
	})
	var took []time.Duration
	step := func(what string, change func(), wanted func(consul.CatalogUpdate) bool) {
		t.Helper()
		began := time.Now()
		change()
		updates.await(t, what, wanted)
		took = append(took, time.Since(began).Round(time.Millisecond))
	}
	step("registered", func() { server.Register(t, web(80)) }, has("web", "127.0.0.1:80 healthy"))
	step("critical", func() { server.SetTTL(t, "service:web80", api.HealthCritical) }, has("web", "127.0.0.1:80 unhealthy"))
	step("passing", func() { server.SetTTL(t, "service:web80", api.HealthPassing) }, has("web", "127.0.0.1:80 healthy"))
	step("other tags", func() { server.Register(t, web(80, tagged("v2"))) }, func(u consul.CatalogUpdate) bool {
		return u.Err == nil && len(u.Services["web"]) == 1 && slices.Equal(u.Services["web"][0].Tags, []string{"v2"})
	})
	step("other meta", func() {
		server.Register(t, web(80, tagged("v2"), func(s *api.AgentServiceRegistration) { s.Meta = map[string]string{"a": "b"} }))
	}, func(u consul.CatalogUpdate) bool {
		return u.Err == nil && len(u.Services["web"]) == 1 && u.Services["web"][0].Metadata["a"] == "b"
	})
	step("without a check", func() { server.Register(t, web(90, named("bare"), unchecked)) }, has("bare", "127.0.0.1:90 healthy"))
	step("a second without a check", func() { server.Register(t, web(91, named("bare"), unchecked)) },
		has("bare", "127.0.0.1:90 healthy, 127.0.0.1:91 healthy"))
	step("one less", func() { server.Deregister(t, "bare90") }, has("bare", "127.0.0.1:91 healthy"))
	node := server.API(t).Agent()
	step("node in maintenance", func() {
		if err := node.EnableNodeMaintenance(""); err != nil {
			t.Fatal(err)
		}
	}, has("bare", "127.0.0.1:91 draining"))
	step("node back", func() {
		if err := node.DisableNodeMaintenance(); err != nil {
			t.Fatal(err)
		}
	}, has("bare", "127.0.0.1:91 healthy"))
	// One that no agent checks, on a node that no agent runs on.
	step("external", func() {
		_, err := server.API(t).Catalog().Register(&api.CatalogRegistration{
			Node: "elsewhere", Address: "192.0.2.7", Service: &api.AgentService{ID: "ext", Service: "external", Port: 443},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}, has("external", "192.0.2.7:443 healthy"))
	step("gone", func() { server.Deregister(t, "web80") }, has("web", "none"))
	t.Logf("from each change in Consul to its delivery: %v", took)
}

func TestCatalogOfManyServices(t *testing.T) {
	const many = 200
	server, client := agent(t)
	register := func() {
		for i := range many {
			server.Register(t, web(1000+i, named(fmt.Sprintf("s%03d", i))))
		}
	}
	register()
	began := time.Now()
	updates := watchCatalog(t, client, consul.CatalogOptions{})
	complete := func(u consul.CatalogUpdate) bool {
		if u.Err != nil || len(u.Services) != many+1 {
			return false
		}
		for i := range many {
			if instances(u, fmt.Sprintf("s%03d", i)) != fmt.Sprintf("127.0.0.1:%d healthy", 1000+i) {
				return false
			}
		}
		return true
	}
	updates.await(t, "complete", complete)
	t.Logf("%d services were there after %s", many, time.Since(began))
	began = time.Now()
	server.SetTTL(t, "service:s1001100", api.HealthWarning)
	updates.await(t, "one changed", has("s100", "127.0.0.1:1100 degraded"))
	t.Logf("a change among them arrived after %s", time.Since(began))
	server.SetTTL(t, "service:s1001100", api.HealthPassing)
	updates.await(t, "complete", complete)

	server.Kill()
	updates.await(t, "stale", func(u consul.CatalogUpdate) bool { return u.Err != nil })
	server.Restart(t)
	u := updates.await(t, "empty and not believed", func(u consul.CatalogUpdate) bool {
		return u.Err != nil && strings.Contains(u.Err.Error(), "came back without s000, s001, s002 and 197 more services")
	})
	t.Log(u.Err)
	server.Register(t, web(1000, named("s000")))
	updates.await(t, "the first is back", func(u consul.CatalogUpdate) bool {
		return u.Err != nil && strings.Contains(u.Err.Error(), "without s001, s002, s003 and 196 more")
	})
	register()
	updates.await(t, "complete again", complete)
	seen := false
	updates.each(func(i int, u consul.CatalogUpdate) {
		seen = seen || complete(u)
		if seen && len(u.Services) != many+1 {
			t.Errorf("update %d has %d services", i, len(u.Services))
		}
	})
}

func TestCatalogBelievesAfterTheGrace(t *testing.T) {
	server, client := agent(t)
	server.Register(t, web(80))
	updates := watchCatalog(t, client, consul.CatalogOptions{Grace: time.Second})
	updates.await(t, "one", has("web", "127.0.0.1:80 healthy"))
	server.Restart(t)
	updates.await(t, "not believed", func(u consul.CatalogUpdate) bool {
		return u.Err != nil && strings.Contains(u.Err.Error(), "came back without web")
	})
	updates.await(t, "believed", has("web", "none"))
}

func TestCatalogIsDenied(t *testing.T) {
	server := guarded(t)
	server.Register(t, web(80))
	for _, token := range []string{"", blind, "44444444-5555-6666-7777-888888888888"} {
		client := dial(t, consul.Connection{Address: server.Address, Token: token})
		updates := watchCatalog(t, client, consul.CatalogOptions{})
		u := updates.await(t, "denied", func(u consul.CatalogUpdate) bool { return u.Err != nil })
		if !strings.Contains(u.Err.Error(), "service:read and node:read") || len(u.Services) > 0 {
			t.Errorf("with token %q: %+v", token, u)
		}
	}
	client := dial(t, consul.Connection{Address: server.Address, Token: reader})
	watchCatalog(t, client, consul.CatalogOptions{}).await(t, "there", has("web", "127.0.0.1:80 healthy"))
}

// A token that loses its rights empties nothing.
func TestCatalogOutlivesItsToken(t *testing.T) {
	server := guarded(t)
	server.Register(t, web(80))
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(reader)
	client := dial(t, consul.Connection{Address: server.Address, TokenFile: file})
	updates := watchCatalog(t, client, consul.CatalogOptions{Wait: time.Second})
	updates.await(t, "there", has("web", "127.0.0.1:80 healthy"))
	write(blind)
	updates.await(t, "denied, and of each service", func(u consul.CatalogUpdate) bool {
		return u.Err != nil && strings.Contains(u.Err.Error(), "2 services could not be asked for, such as consul")
	})
	write(reader)
	updates.await(t, "there again", has("web", "127.0.0.1:80 healthy"))
	updates.each(func(i int, u consul.CatalogUpdate) {
		if instances(u, "web") != "127.0.0.1:80 healthy" {
			t.Errorf("update %d: %+v", i, u)
		}
	})
}

// However many services there are, few connections stay open.
func TestCatalogKeepsFewConnections(t *testing.T) {
	server := backends.Consul(t, backends.ConsulOptions{})
	for i := range 50 {
		server.Register(t, web(1000+i, named(fmt.Sprint("s", i))))
	}
	var open, most atomic.Int64
	front := counted(t, server.URL, &open, &most)
	client := dial(t, consul.Connection{Address: front})
	updates := watchCatalog(t, client, consul.CatalogOptions{})
	updates.await(t, "complete", func(u consul.CatalogUpdate) bool { return u.Err == nil && len(u.Services) == 51 })
	// Two that are held, eight that ask, and what the transport opens in advance.
	if n := most.Load(); n > 25 {
		t.Errorf("%d connections were open at the same time for 51 services", n)
	}
}
