package consul

import (
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/discovery"
)

// What Consul has not looked at yet is as it was before, and critical where nothing
// was known of it; what it found critical is.
func TestPresume(t *testing.T) {
	const dead = discovery.Unhealthy
	check := func(status, kind, output string) *api.HealthCheck {
		return &api.HealthCheck{Status: status, Type: kind, Output: output}
	}
	for _, tt := range []struct {
		name   string
		check  *api.HealthCheck
		before discovery.Health
		known  bool
		want   discovery.Health
	}{
		{"registered again", check("critical", "http", ""), discovery.Healthy, true, discovery.Healthy},
		{"registered again with a warning", check("critical", "tcp", ""), discovery.Degraded, true, discovery.Degraded},
		{"new", check("critical", "http", ""), 0, false, dead},
		{"critical before", check("critical", "http", ""), dead, true, dead},
		{"in maintenance before", check("critical", "http", ""), discovery.Draining, true, dead},
		{"found critical", check("critical", "http", "connection refused"), discovery.Healthy, true, dead},
		{"told critical", check("critical", "ttl", ""), discovery.Healthy, true, dead},
		{"a check of nobody's", check("critical", "", ""), discovery.Healthy, true, dead},
		{"passing", check("passing", "http", ""), dead, true, discovery.Healthy},
	} {
		entry := &api.ServiceEntry{
			Node:    &api.Node{Node: "n", Address: "10.0.0.1"},
			Service: &api.AgentService{ID: "web", Service: "web", Port: 80},
			Checks:  api.HealthChecks{check("passing", "", ""), tt.check},
		}
		now := view{}.instances([]*api.ServiceEntry{entry})
		var before []Instance
		if tt.known {
			before = []Instance{{Endpoint: discovery.Endpoint{Address: "10.0.0.1:80", Health: tt.before}}}
		}
		presume(before, now)
		if len(now) != 1 || now[0].Health != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, now, tt.want)
		}
	}
}
