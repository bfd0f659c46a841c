package envoy_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
)

// ours is hopscope's configuration of tables, each behind a listener of its own.
func ours(t *testing.T, tables []*table, clusters upstreams) *config.Config {
	t.Helper()
	c := config.New()
	c.Admin.Address, c.Telemetry.AccessLog.Path = "off", "off"
	for name, address := range clusters.addresses {
		cluster := config.NewCluster(address)
		cluster.Protocol = clusters.protocol
		c.Clusters[name] = cluster
	}
	for _, table := range tables {
		l := config.NewListener(table.name(), "127.0.0.1:0")
		l.Routes, l.Via, l.GRPCWeb = table.routes(), false, false
		l.Path = table.path
		c.Listeners = append(c.Listeners, l)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return c
}

// routes are those of all virtual hosts, and behind those of each one that ends what
// Envoy ends there: exact hosts first, then the longest.
func (t *table) routes() (all []config.Route) {
	type domain struct {
		name string
		of   *virtualHost
	}
	var order []domain
	for i := range t.hosts {
		for _, name := range t.hosts[i].domains {
			order = append(order, domain{name, &t.hosts[i]})
		}
	}
	isWild := func(name string) int { return strings.Count(name, "*") }
	slices.SortStableFunc(order, func(a, b domain) int {
		return cmp.Or(isWild(a.name)-isWild(b.name), len(b.name)-len(a.name))
	})
	for i, d := range order {
		var hosts []string
		if d.name != "*" {
			hosts = []string{d.name}
		}
		for _, r := range d.of.routes {
			r.Name = fmt.Sprintf("%s-%d", r.Name, i)
			r.Match.Hosts = hosts
			all = append(all, r)
		}
		end := config.NewRoute("")
		end.Match.Hosts, end.Answer = hosts, config.NewAnswer()
		end.Answer.Status = 404
		all = append(all, end)
	}
	return all
}
