package resources

import (
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/catalog"
	"github.com/hopscope/hopscope/proxy/config"
)

// Template is what the clusters of a catalog have alike.
type Template struct {
	settings *config.Cluster // for what is spoken to in plain text
	tls      *config.ClusterTLS
	zone     string
	policy   Policy
}

// TemplateOf returns the template that a configuration has for its catalog: the
// cluster that catalog.like names, or else the defaults.
func TemplateOf(c *config.Config) *Template {
	like, ok := c.Clusters[c.Catalog.Like]
	if !ok {
		like = config.NewCluster()
	}
	settings, policy := divide(c, &like)
	settings.Endpoints, settings.Static, settings.Consul, settings.DNS, settings.File = nil, nil, nil, nil, nil
	settings.TLS = nil
	return &Template{settings: settings, tls: like.TLS, zone: zone(c, &like), policy: policy}
}

// FromCatalog returns what a catalog says, whose plan was known to be so at a time.
// stale is why it may be out of date, nil while it is not.
func FromCatalog(plan *catalog.Plan, like *Template, stale error, at time.Time) *Set {
	s := &Set{}
	s.init()
	settings := map[catalog.Transport]*config.Cluster{}
	for _, c := range plan.Clusters {
		if settings[c.Transport] == nil {
			settings[c.Transport] = like.spokenTo(c.Transport)
		}
		s.add(&Cluster{
			ID: ID{Catalog, c.Name}, Settings: settings[c.Transport], Policy: like.policy, Zone: like.zone,
			Fed: &Endpoints{Update: discovery.Update{Endpoints: append([]discovery.Endpoint{}, c.Endpoints...), Err: stale}, At: at},
		})
	}
	s.Routes[CatalogTable] = &RouteTable{ID: CatalogTable, Tagged: plan.Routes}
	return s
}

// spokenTo are the settings of a cluster whose endpoints are spoken to in some way.
func (t *Template) spokenTo(how catalog.Transport) *config.Cluster {
	if how == (catalog.Transport{Protocol: "auto"}) {
		return t.settings
	}
	cc := *t.settings
	if how.Protocol != "auto" {
		cc.Protocol = how.Protocol
	}
	if !how.TLS {
		return &cc
	}
	tls := t.tls
	if tls == nil {
		tls = config.NewClusterTLS()
	}
	own := *tls
	own.InsecureSkipVerify = own.InsecureSkipVerify || how.Insecure
	if how.ServerName != "" {
		own.SNI = how.ServerName
	}
	cc.TLS = &own
	return &cc
}
