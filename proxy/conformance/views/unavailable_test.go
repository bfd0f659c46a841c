package views_test

import (
	"cmp"
	"fmt"
	"net/http"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// A service of which no instance passes is UH, and one that Consul does not know is NC,
// in every view; one that nobody has ever told of is UH with a detail of its own.
func TestLiveUnavailable(t *testing.T) {
	proxytest.NoLeaks(t)
	consul := backends.Consul(t, backends.ConsulOptions{})
	address := proxytest.Serve(t, proxytest.Echo)
	registration := proxytest.Registration("web", address)
	registration.Check = &api.AgentServiceCheck{TTL: "1h", Status: api.HealthCritical}
	consul.Register(t, registration)
	of := func(service string) func(*proxytest.Settings) {
		return func(s *proxytest.Settings) {
			s.Cluster = config.NewCluster()
			s.Cluster.Consul = config.NewConsul(service)
			s.Cluster.Consul.Address = consul.Address
		}
	}
	answered := func(l *proxytest.Proxy) *http.Response {
		proxytest.Eventually(t, "an answer of Consul", func() bool {
			return l.Scrape().Sum("hopscope_discovery_updates_total", "cluster", "web", "result", "success") > 0
		})
		return proxytest.Get(l)
	}
	for _, r := range []row{
		{name: "no instance passes", kind: fault.NoHealthy, change: of("web"), flags: "UH",
			reason: fmt.Sprintf("has no endpoint that may be used, of 1: %s is unhealthy in Consul (check \"Service 'web' check\" is critical)", address)},
		{name: "no such service", kind: fault.NoCluster, hop: "front", change: of("nobody"), flags: "NC",
			reason: "there is no such service in Consul"},
		{name: "a name with a slip", kind: fault.NoCluster, hop: "front", change: of("wbe"), flags: "NC",
			reason: "there is no such service in Consul; the nearest name is web"},
		{name: "nobody has ever said", kind: fault.Undiscovered, flags: "UH", reason: "has no endpoint", change: func(s *proxytest.Settings) {
			of("web")(s)
			s.Cluster.Consul.Address = proxytest.FreeAddress(t)
		}, drive: proxytest.Get},
	} {
		if r.drive == nil {
			r.drive = answered
		}
		r.status, r.error, r.failed, r.origin = 503, "destination_unavailable", "destination_unavailable", "proxy"
		r.hop = cmp.Or(r.hop, "web") // the service that has no instance; that nobody has its name is the caller's mistake
		t.Run(r.name, r.run)
	}
}
