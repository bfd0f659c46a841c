package resources

import (
	"encoding/json"

	"github.com/hopscope/hopscope/proxy/config"
)

// Question is what the source of the cluster's endpoints is asked, "" where it asks
// none. What a source said holds for whoever asks the same question, through whatever
// agent or resolver.
func (c *Cluster) Question() string {
	s := c.Settings
	switch {
	case s.Consul != nil:
		return question("consul", struct {
			Service, Query, Datacenter, Namespace, Partition, Filter string
			Tags, Failover                                           []string
			OnlyPassing                                              bool
		}{
			s.Consul.Service, s.Consul.Query, s.Consul.Datacenter, s.Consul.Namespace, s.Consul.Partition, s.Consul.Filter,
			s.Consul.Tags, s.Consul.Failover, s.Consul.OnlyPassing,
		})
	case s.DNS != nil:
		return question("dns", struct {
			Name       string
			Port       int
			Type, Mode string
		}{s.DNS.Name, s.DNS.Port, s.DNS.Type, s.DNS.Mode})
	case s.File != nil:
		return question("file", s.File.Path)
	}
	return ""
}

// CatalogQuestion is what Consul is asked for its catalog.
func CatalogQuestion(asked *config.Consul) string {
	return question("catalog", struct{ Datacenter, Namespace, Partition string }{asked.Datacenter, asked.Namespace, asked.Partition})
}

func question(of string, what any) string {
	text, _ := json.Marshal(what) // nothing in it can fail
	return of + " " + string(text)
}
