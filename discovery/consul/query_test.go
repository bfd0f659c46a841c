package consul_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/consul"
)

func TestExecutesAPreparedQuery(t *testing.T) {
	server, client := agent(t)
	updates := follow(t, client, consul.Options{Query: "best-web", Poll: 20 * time.Millisecond})
	updates.await(t, "missing", missing)

	define := func() {
		t.Helper()
		_, _, err := server.API(t).PreparedQuery().Create(&api.PreparedQueryDefinition{
			Name:    "best-web",
			Service: api.ServiceQuery{Service: "web", Tags: []string{"v2"}},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	define()
	updates.await(t, "there, without an endpoint", is(""))
	server.Register(t, web(80))
	server.Register(t, web(81, tagged("v2")))
	updates.await(t, "the one with the tag", is("127.0.0.1:81 healthy"))
	server.SetTTL(t, "service:web81", api.HealthCritical)
	updates.await(t, "without the critical one", is(""))
	server.SetTTL(t, "service:web81", api.HealthWarning)
	updates.await(t, "with a warning", is("127.0.0.1:81 degraded"))

	server.Restart(t)
	updates.await(t, "not believed", func(u discovery.Update) bool {
		return stale("127.0.0.1:81 degraded")(u) && strings.Contains(u.Err.Error(), "came back without")
	})
	define()
	server.Register(t, web(81, tagged("v2")))
	updates.await(t, "back", is("127.0.0.1:81 healthy"))
}
