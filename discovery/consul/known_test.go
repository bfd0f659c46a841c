package consul_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/consul"
)

// known are what another source was told.
func known(endpoints ...discovery.Endpoint) *discovery.Known {
	return &discovery.Known{Endpoints: endpoints, At: time.Now().Add(-time.Hour)}
}

func endpoint(address string, priority int) discovery.Endpoint {
	return discovery.Endpoint{Address: address, Weight: 1, Priority: priority}
}

// What was known before stays while Consul is away, and where it comes back without
// it; what it says of the service counts at once.
func TestKnownBefore(t *testing.T) {
	server, client := agent(t)
	server.Kill()
	updates := follow(t, client, consul.Options{Service: "web", Known: known(endpoint("127.0.0.1:80", 0), endpoint("127.0.0.1:81", 0))})
	updates.await(t, "stale", stale(twoWebs))
	server.Restart(t)
	updates.await(t, "empty and not believed", func(u discovery.Update) bool {
		return stale(twoWebs)(u) && strings.Contains(u.Err.Error(), "came back without")
	})
	server.Register(t, web(81))
	updates.await(t, "one", is("127.0.0.1:81 healthy"))
	server.Deregister(t, "web81")
	updates.await(t, "gone", missing)
	updates.mu.Lock()
	before := slices.Clone(updates.all[:len(updates.all)-1])
	updates.mu.Unlock()
	never(t, &record[discovery.Update]{all: before})
}

func TestKnownBeforeIsNotBelievedForEver(t *testing.T) {
	_, client := agent(t)
	updates := follow(t, client, consul.Options{Service: "web", Grace: time.Second, Known: known(endpoint("127.0.0.1:80", 0))})
	updates.await(t, "not believed", stale("127.0.0.1:80 healthy"))
	updates.await(t, "believed", missing)
}

// A datacenter that can't be asked keeps what was known of it, beside what another says.
func TestKnownBeforeOfAnotherDatacenter(t *testing.T) {
	server, client := agent(t)
	server.Register(t, web(80))
	updates := follow(t, client, consul.Options{
		Service: "web", Failover: []string{"dc2"}, Known: known(endpoint("127.0.0.1:90", 0), endpoint("127.0.0.1:91", 1)),
	})
	u := updates.await(t, "that of dc1 from now, that of dc2 from before", stale("127.0.0.1:80 healthy, 127.0.0.1:91 healthy"))
	if u.Endpoints[1].Priority != 1 {
		t.Errorf("%+v", u.Endpoints[1])
	}
}

// The same for a catalog.
func TestCatalogKnownBefore(t *testing.T) {
	server, client := agent(t)
	server.Kill()
	watched, err := client.Catalog(consul.CatalogOptions{Backoff: quick, Known: map[string][]consul.Instance{
		"web":  {{Endpoint: endpoint("127.0.0.1:80", 0), ID: "web80", Tags: []string{"old"}}},
		"gone": {{Endpoint: endpoint("127.0.0.1:90", 0), ID: "gone90"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	updates := watch(t, watched.Run)
	updates.await(t, "stale", func(u consul.CatalogUpdate) bool {
		return u.Err != nil && len(u.Services) == 2 && u.Services["web"][0].Tags[0] == "old"
	})
	server.Restart(t)
	updates.await(t, "empty and not believed", func(u consul.CatalogUpdate) bool {
		return u.Err != nil && strings.Contains(u.Err.Error(), "came back without gone, web") && len(u.Services["web"]) == 1
	})
	server.Register(t, web(80, tagged("new")))
	server.Register(t, web(81, tagged("new")))
	updates.await(t, "the service as it is now", func(u consul.CatalogUpdate) bool {
		return len(u.Services["web"]) == 2 && u.Services["web"][0].Tags[0] == "new" && len(u.Services["gone"]) == 1 &&
			u.Err != nil && !strings.Contains(u.Err.Error(), "web") // the list of names has it, too
	})
	server.Deregister(t, "web80")
	server.Deregister(t, "web81")
	updates.await(t, "the service being gone", func(u consul.CatalogUpdate) bool {
		_, there := u.Services["web"]
		return !there && len(u.Services["gone"]) == 1
	})
}
