package consul_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/consul"
)

const twoWebs = "127.0.0.1:80 healthy, 127.0.0.1:81 healthy"

func never(t *testing.T, updates *record[discovery.Update]) {
	t.Helper()
	updates.each(func(i int, u discovery.Update) {
		if len(u.Endpoints) == 0 {
			t.Errorf("update %d has no endpoint: %+v", i, u)
		}
	})
}

// The agent dies, comes back empty, and only then is filled again.
func TestKeepsEndpointsWhenConsulForgets(t *testing.T) {
	server, client := agent(t)
	server.Register(t, web(80))
	server.Register(t, web(81))
	updates := follow(t, client, consul.Options{Service: "web"})
	updates.await(t, "two", is(twoWebs))

	for range 2 {
		server.Kill()
		u := updates.await(t, "stale", stale(twoWebs))
		t.Log(u.Err)
		server.Restart(t)
		u = updates.await(t, "empty and not believed", func(u discovery.Update) bool {
			return stale(twoWebs)(u) && strings.Contains(u.Err.Error(), "came back without")
		})
		t.Log(u.Err)
		server.Register(t, web(81))
		updates.await(t, "one is back", is("127.0.0.1:81 healthy"))
		server.Register(t, web(80))
		updates.await(t, "both are back", is(twoWebs))
	}
	never(t, updates)

	// With Consul working, what is deregistered is gone.
	server.Deregister(t, "web80")
	server.Deregister(t, "web81")
	updates.await(t, "gone", missing)
}

func TestBelievesAnEmptyConsulAfterTheGrace(t *testing.T) {
	server, client := agent(t)
	server.Register(t, web(80))
	updates := follow(t, client, consul.Options{Service: "web", Grace: time.Second})
	updates.await(t, "one", is("127.0.0.1:80 healthy"))
	server.Restart(t)
	updates.await(t, "not believed", func(u discovery.Update) bool {
		return stale("127.0.0.1:80 healthy")(u) && strings.Contains(u.Err.Error(), "came back without")
	})
	updates.await(t, "believed", missing)
}

func TestBeginsBeforeConsulIsThere(t *testing.T) {
	server, client := agent(t)
	server.Kill()
	updates := follow(t, client, consul.Options{Service: "web"})
	updates.await(t, "nothing known", stale(""))
	server.Restart(t)
	updates.await(t, "missing", missing)
	server.Register(t, web(80))
	updates.await(t, "there", is("127.0.0.1:80 healthy"))
}

const (
	management = "11111111-2222-3333-4444-555555555555"
	reader     = "22222222-3333-4444-5555-666666666666"
	blind      = "33333333-4444-5555-6666-777777777777"
)

// guarded is a Consul with ACLs, with the token reader that may read services and nodes,
// and blind that may read nothing.
func guarded(t *testing.T) *backends.ConsulServer {
	t.Helper()
	server := backends.Consul(t, backends.ConsulOptions{Token: management})
	acl := server.API(t).ACL()
	for name, policy := range map[string]struct{ token, rules string }{
		"reader": {reader, `service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }`},
		"blind":  {blind, `key "unrelated" { policy = "read" }`},
	} {
		if _, _, err := acl.PolicyCreate(&api.ACLPolicy{Name: name, Rules: policy.rules}, nil); err != nil {
			t.Fatal(err)
		}
		token := &api.ACLToken{SecretID: policy.token, Policies: []*api.ACLTokenPolicyLink{{Name: name}}}
		if _, _, err := acl.TokenCreate(token, nil); err != nil {
			t.Fatal(err)
		}
	}
	return server
}

func TestTokens(t *testing.T) {
	server := guarded(t)
	server.Register(t, web(80))
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write(reader)
	ok := is("127.0.0.1:80 healthy")
	for _, tt := range []struct {
		name       string
		connection consul.Connection
		wanted     func(discovery.Update) bool
		says       string
	}{
		{"token", consul.Connection{Token: reader}, ok, ""},
		{"token file", consul.Connection{TokenFile: file}, ok, ""},
		{"none", consul.Connection{}, stale(""), `no token is given: give one with service:read on "web" and node:read`},
		{"one that may not", consul.Connection{Token: blind}, stale(""), `it needs service:read on "web" and node:read`},
		{"unknown", consul.Connection{Token: "44444444-5555-6666-7777-888888888888"}, stale(""), "the token needs service:read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.connection.Address = server.Address
			u := follow(t, dial(t, tt.connection), consul.Options{Service: "web"}).await(t, "as wanted", tt.wanted)
			if u.Err != nil && (!strings.Contains(u.Err.Error(), tt.says) || strings.Contains(u.Err.Error(), "4444-5555")) {
				t.Errorf("error %v, want one that says %q and no token", u.Err, tt.says)
			}
		})
	}

	t.Run("rotation", func(t *testing.T) {
		updates := follow(t, dial(t, consul.Connection{Address: server.Address, TokenFile: file}), consul.Options{Service: "web", Wait: time.Second})
		updates.await(t, "there", ok)
		write(blind)
		// The question that is held still has the old token; the next one is denied.
		updates.await(t, "denied", stale("127.0.0.1:80 healthy"))
		write("")
		updates.await(t, "no token in the file", func(u discovery.Update) bool {
			return u.Err != nil && strings.Contains(u.Err.Error(), file+" is empty")
		})
		write(reader)
		updates.await(t, "there again", ok)
		never(t, updates)
	})
	t.Run("an unknown service with a token is missing", func(t *testing.T) {
		client := dial(t, consul.Connection{Address: server.Address, Token: reader})
		follow(t, client, consul.Options{Service: "nothing"}).await(t, "missing", missing)
	})
}

func TestFailsOverToAnotherDatacenter(t *testing.T) {
	one := backends.Consul(t, backends.ConsulOptions{})
	two := backends.Consul(t, backends.ConsulOptions{Datacenter: "dc2", Join: one})
	one.Register(t, web(80))
	two.Register(t, web(81, func(s *api.AgentServiceRegistration) {
		s.TaggedAddresses = map[string]api.ServiceAddress{"wan": {Address: "192.0.2.1", Port: 1081}}
	}))
	client := dial(t, consul.Connection{Address: one.Address})
	updates := follow(t, client, consul.Options{Service: "web", Datacenter: "dc1", Failover: []string{"dc2"}, Wait: time.Second})
	both := "127.0.0.1:80 healthy, 192.0.2.1:1081 healthy"
	u := updates.await(t, "both", is(both))
	for i, e := range u.Endpoints {
		if e.Priority != i || e.Metadata[consul.MetadataDatacenter] != []string{"dc1", "dc2"}[i] {
			t.Errorf("endpoint %d has priority %d and is in %q", i, e.Priority, e.Metadata[consul.MetadataDatacenter])
		}
	}

	one.Deregister(t, "web80")
	updates.await(t, "only elsewhere", is("192.0.2.1:1081 healthy"))
	one.Register(t, web(80))
	updates.await(t, "both again", is(both))

	two.Kill()
	u = updates.await(t, "the other stale", stale(both))
	if !strings.HasPrefix(u.Err.Error(), "datacenter dc2: ") {
		t.Errorf("the error does not say which datacenter: %v", u.Err)
	}
}
