package live_test

import (
	"fmt"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// A prepared query is asked again and again, and in between its connection to Consul
// is idle: that is closed with the proxy, too.
func TestLivePreparedQuery(t *testing.T) {
	consul := startAgent(t, backends.ConsulOptions{})
	b := startBackends(t, 2)
	consul.add(b...)
	query := &api.PreparedQueryDefinition{Name: "nearest-web", Service: api.ServiceQuery{Service: "web"}}
	if _, _, err := consul.API(t).PreparedQuery().Create(query, nil); err != nil {
		t.Fatal(err)
	}
	proxytest.NoLeaks(t) // while Consul, whose end would end its connections, is still there
	l := startLive(t, 2, fmt.Sprintf("{consul: {address: %q, query: nearest-web}}", consul.Address))
	l.begin("GET")
	l.faultless()
}
