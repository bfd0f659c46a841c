package consul_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/consul"
)

func TestFollowsAService(t *testing.T) {
	server, client := agent(t)
	updates := follow(t, client, consul.Options{Service: "web"})
	updates.await(t, "missing at first", missing)

	var took []time.Duration
	step := func(what string, change func(), wanted func(discovery.Update) bool) {
		t.Helper()
		began := time.Now()
		change()
		updates.await(t, what, wanted)
		took = append(took, time.Since(began).Round(100*time.Microsecond))
	}
	step("registered", func() { server.Register(t, web(81)) }, is("127.0.0.1:81 healthy"))
	step("a second", func() { server.Register(t, web(80)) }, is("127.0.0.1:80 healthy, 127.0.0.1:81 healthy"))
	step("a warning", func() { server.SetTTL(t, "service:web80", api.HealthWarning) },
		is("127.0.0.1:80 degraded, 127.0.0.1:81 healthy"))
	step("critical", func() { server.SetTTL(t, "service:web80", api.HealthCritical) },
		is("127.0.0.1:80 unhealthy, 127.0.0.1:81 healthy"))
	step("all critical", func() { server.SetTTL(t, "service:web81", api.HealthCritical) },
		is("127.0.0.1:80 unhealthy, 127.0.0.1:81 unhealthy"))
	step("passing", func() { server.SetTTL(t, "service:web80", api.HealthPassing) },
		is("127.0.0.1:80 healthy, 127.0.0.1:81 unhealthy"))
	agent := server.API(t).Agent()
	step("maintenance", func() {
		if err := agent.EnableServiceMaintenance("web80", "a test"); err != nil {
			t.Fatal(err)
		}
	}, is("127.0.0.1:80 draining, 127.0.0.1:81 unhealthy"))
	step("maintenance of the node", func() {
		if err := agent.EnableNodeMaintenance("a test"); err != nil {
			t.Fatal(err)
		}
	}, is("127.0.0.1:80 draining, 127.0.0.1:81 draining"))
	step("no maintenance", func() {
		if err := agent.DisableNodeMaintenance(); err != nil {
			t.Fatal(err)
		}
	}, is("127.0.0.1:80 draining, 127.0.0.1:81 unhealthy"))
	step("deregistered", func() { server.Deregister(t, "web80") }, is("127.0.0.1:81 unhealthy"))
	step("gone", func() { server.Deregister(t, "web81") }, missing)
	t.Logf("from each change in Consul to its delivery: %v", took)
	updates.each(func(i int, u discovery.Update) {
		if u.Err != nil {
			t.Errorf("update %d has an error: %v", i, u.Err)
		}
	})
}

func TestDeliversWhatConsulKnows(t *testing.T) {
	server, client := agent(t)
	server.Register(t, web(80, tagged("v2", "blue"), func(s *api.AgentServiceRegistration) {
		s.Weights = &api.AgentWeights{Passing: 7, Warning: 3}
		s.Meta = map[string]string{"version": "2", "zone": "b", "region": "eu"}
	}))
	server.Register(t, web(81, func(s *api.AgentServiceRegistration) {
		s.Address = "::1"
		s.Locality = &api.Locality{Region: "us", Zone: "c"}
	}))
	// One without an address of its own, one without a port.
	server.Register(t, web(82, func(s *api.AgentServiceRegistration) { s.Address = "" }))
	server.Register(t, web(83, func(s *api.AgentServiceRegistration) { s.Port = 0 }))
	// Two with the same address, the worse of which does not count.
	server.Register(t, web(82, func(s *api.AgentServiceRegistration) {
		s.ID, s.Check.Status = "again", api.HealthCritical
	}))
	updates := follow(t, client, consul.Options{Service: "web"})
	u := updates.await(t, "three endpoints", is("127.0.0.1:80 healthy, 127.0.0.1:82 healthy, [::1]:81 healthy"))

	server.SetTTL(t, "service:web80", api.HealthWarning)
	w := updates.await(t, "a warning", is("127.0.0.1:80 degraded, 127.0.0.1:82 healthy, [::1]:81 healthy"))
	if w.Endpoints[0].Weight != 3 {
		t.Errorf("weight %d in a warning, want 3", w.Endpoints[0].Weight)
	}

	const node = "dc1-node"
	for i := range u.Endpoints {
		// What Consul's version says of itself is no matter here.
		delete(u.Endpoints[i].Metadata, "consul-version")
		delete(u.Endpoints[i].Metadata, "consul-network-segment")
	}
	want := []discovery.Endpoint{{
		Address: "127.0.0.1:80", Weight: 7, Locality: discovery.Locality{Region: "eu", Zone: "b"},
		Metadata: map[string]string{
			"version": "2", "zone": "b", "region": "eu",
			consul.MetadataID: "web80", consul.MetadataNode: node, consul.MetadataDatacenter: "dc1", consul.MetadataTags: "v2,blue",
		},
	}, {
		Address: "127.0.0.1:82", Weight: 1,
		Metadata: map[string]string{consul.MetadataID: "web82", consul.MetadataNode: node, consul.MetadataDatacenter: "dc1"},
	}, {
		Address: "[::1]:81", Weight: 1, Locality: discovery.Locality{Region: "us", Zone: "c"},
		Metadata: map[string]string{consul.MetadataID: "web81", consul.MetadataNode: node, consul.MetadataDatacenter: "dc1"},
	}}
	if diff := cmp.Diff(want, u.Endpoints); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}

	server.SetTTL(t, "service:web80", api.HealthWarning)
	updates.await(t, "the weight of a warning", func(u discovery.Update) bool {
		return len(u.Endpoints) == 3 && u.Endpoints[0].Weight == 3 && u.Endpoints[0].Health == discovery.Degraded
	})
}

func TestPicksByOptions(t *testing.T) {
	server, client := agent(t)
	server.Register(t, web(80, tagged("v1"), func(s *api.AgentServiceRegistration) { s.Meta = map[string]string{"color": "blue"} }))
	server.Register(t, web(81, tagged("v1", "v2")))
	server.Register(t, web(82, func(s *api.AgentServiceRegistration) { s.Check.Status = api.HealthWarning }))
	for _, tt := range []struct {
		name    string
		options consul.Options
		want    func(discovery.Update) bool
	}{
		{"a tag", consul.Options{Tags: []string{"v1"}}, is("127.0.0.1:80 healthy, 127.0.0.1:81 healthy")},
		{"both tags", consul.Options{Tags: []string{"v1", "v2"}}, is("127.0.0.1:81 healthy")},
		{"no such tag", consul.Options{Tags: []string{"v3"}}, is("")},
		{"filter", consul.Options{Filter: `Service.Meta.color == "blue"`}, is("127.0.0.1:80 healthy")},
		{"filter that matches nothing", consul.Options{Filter: `Service.Meta.color == "red"`}, is("")},
		{"only passing", consul.Options{OnlyPassing: true}, is("127.0.0.1:80 healthy, 127.0.0.1:81 healthy, 127.0.0.1:82 unhealthy")},
		{"stale, near", consul.Options{Stale: true, Near: "_agent", Tags: []string{"v2"}}, is("127.0.0.1:81 healthy")},
		{"own datacenter by name", consul.Options{Datacenter: "dc1", Tags: []string{"v2"}}, is("127.0.0.1:81 healthy")},
		{"broken filter", consul.Options{Filter: "Service.Meta.color =="}, stale("")},
		{"unknown datacenter", consul.Options{Datacenter: "nowhere"}, stale("")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.options.Service = "web"
			u := follow(t, client, tt.options).await(t, "as wanted", tt.want)
			if u.Err != nil {
				t.Log(u.Err)
			}
		})
	}
	for _, options := range []consul.Options{{Tags: []string{"v1"}}, {Filter: `Service.Port == 1`}, {}} {
		options.Service = "nothing"
		follow(t, client, options).await(t, "missing", missing)
	}
}

// A service that is not there comes with the name that was most likely meant.
func TestMissingNamesTheNearest(t *testing.T) {
	server, client := agent(t)
	server.Register(t, web(80))
	for asked, want := range map[string]string{"wbe": "web", "we-b": "web", "payments": ""} {
		if u := follow(t, client, consul.Options{Service: asked}).await(t, "missing", missing); u.Nearest != want {
			t.Errorf("the nearest name to %s is %q, want %q", asked, u.Nearest, want)
		}
	}
}

// An empty filter result stays one while the service comes and goes.
func TestMissingFollowsTheServiceNotTheTag(t *testing.T) {
	server, client := agent(t)
	updates := follow(t, client, consul.Options{Service: "web", Tags: []string{"v2"}})
	updates.await(t, "missing", missing)
	server.Register(t, web(80, tagged("v1")))
	updates.await(t, "there, without an endpoint", is(""))
	server.Register(t, web(80, tagged("v2")))
	updates.await(t, "there", is("127.0.0.1:80 healthy"))
	server.Register(t, web(80, tagged("v1")))
	updates.await(t, "without an endpoint again", is(""))
	server.Deregister(t, "web80")
	updates.await(t, "missing again", missing)
}

// An instance that is to have no traffic in a warning is delivered as just that. When
// passing it has some always: Consul takes no other weight, or says 1.
func TestWeightOfZero(t *testing.T) {
	server, client := agent(t)
	server.Register(t, web(80, func(s *api.AgentServiceRegistration) {
		s.Weights = &api.AgentWeights{Passing: 5, Warning: 0}
		s.Check.Status = api.HealthWarning
	}))
	updates := follow(t, client, consul.Options{Service: "web"})
	if u := updates.await(t, "a warning", is("127.0.0.1:80 degraded")); u.Endpoints[0].Weight != 0 {
		t.Errorf("weight %d in a warning, want 0", u.Endpoints[0].Weight)
	}
	server.SetTTL(t, "service:web80", api.HealthPassing)
	if u := updates.await(t, "passing", is("127.0.0.1:80 healthy")); u.Endpoints[0].Weight != 5 {
		t.Errorf("weight %d when passing, want 5", u.Endpoints[0].Weight)
	}

	refused := web(81, func(s *api.AgentServiceRegistration) { s.Weights = &api.AgentWeights{Passing: 0, Warning: 1} })
	if err := server.API(t).Agent().ServiceRegister(refused); err == nil || !strings.Contains(err.Error(), "Passing must be greater than 0") {
		t.Errorf("a weight of 0 when passing, by the agent: %v", err)
	}
	_, err := server.API(t).Catalog().Register(&api.CatalogRegistration{
		Node: "outside", Address: "10.0.0.1",
		Service: &api.AgentService{ID: "web1", Service: "web", Port: 80, Weights: api.AgentWeights{Passing: 0, Warning: 0}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if u := updates.await(t, "one from outside", is("10.0.0.1:80 healthy, 127.0.0.1:80 healthy")); u.Endpoints[0].Weight != 1 {
		t.Errorf("weight %d of one that was registered without, want 1", u.Endpoints[0].Weight)
	}
}
