package resources

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/catalog"
	"github.com/hopscope/hopscope/proxy/config"
)

// Template is what the clusters and the routes of a catalog have alike.
type Template struct {
	settings *config.Cluster // for what is spoken to in plain text
	tls      *config.ClusterTLS
	zone     string
	route    Route
	auth     map[string]*config.BasicAuth // by the names that tags have
}

// TemplateOf returns the template that a configuration has for its catalog: the
// cluster that catalog.like names, or else the defaults. base is what the configuration says:
// it has the users of catalog.auth.
func TemplateOf(c *config.Config, base *Set) *Template {
	like, ok := c.Clusters[c.Catalog.Like]
	if !ok {
		like = config.NewCluster()
	}
	settings := madeOf(c, &like)
	settings.Endpoints, settings.Static, settings.Consul, settings.DNS, settings.File = nil, nil, nil, nil, nil
	settings.TLS = nil
	return &Template{
		settings: settings, tls: like.TLS, zone: zone(c, &like), auth: base.Auth,
		route: routeOf(c, &config.Route{Cluster: c.Catalog.Like, Timeout: c.Catalog.Timeout}),
	}
}

// FromCatalog returns what a catalog says, whose plan was known to be so at a time.
// stale is why it may be out of date, nil while it is not.
func FromCatalog(plan *catalog.Plan, like *Template, stale error, at time.Time) *Set {
	s := newSet()
	settings := map[catalog.Transport]*config.Cluster{}
	for _, c := range plan.Clusters {
		if settings[c.Transport] == nil {
			settings[c.Transport] = like.spokenTo(c.Transport)
		}
		s.add(&Cluster{
			ID: ID{Catalog, c.Name}, Settings: settings[c.Transport], Zone: like.zone,
			Fed: &Endpoints{Update: discovery.Update{Endpoints: append([]discovery.Endpoint{}, c.Endpoints...), Err: stale}, At: at},
		})
	}
	table := &RouteTable{ID: CatalogTable, Routes: make([]Route, len(plan.Routes))}
	for i := range plan.Routes {
		table.Routes[i] = like.routeOf(&plan.Routes[i])
	}
	s.Routes[table.ID] = table
	return s
}

// routeOf is a route of a catalog.
func (t *Template) routeOf(from *catalog.Route) Route {
	r := t.route
	m := &from.Match
	r.Name, r.Cluster, r.Closed = from.Name, ID{Catalog, from.Cluster}, from.Closed
	r.Unnamed = m.Path == ""
	r.Match = config.NewMatch()
	r.Match.Path, r.Match.PathPrefix, r.Match.Hosts, r.Match.Methods, r.Match.Clients = m.Path, m.PathPrefix, m.Hosts, m.Methods, m.Clients
	if m.Not != nil {
		r.Match.Not = &config.Conditions{Clients: m.Not.Clients}
	}
	r.Strip, r.Prepend, r.Host = from.Strip, from.Prepend, from.HostRewrite
	if from.Redirect != nil {
		r.Cluster, r.Redirect = ID{}, RedirectOf(from.Redirect)
	}
	if from.Timeout > 0 {
		r.Timeout = from.Timeout
	}
	t.limits(&r, from)
	if from.Auth != "" {
		r.Policies.BasicAuth = t.auth[from.Auth] // the plan was made with its names
	}
	if from.Compress {
		r.Policies.Compress = config.NewCompress()
	}
	return r
}

// limits are what a tag says of the requests of its route. A redirect needs no limit of them.
func (t *Template) limits(r *Route, from *catalog.Route) {
	if from.Attempts > 0 {
		r.Policy.Retry, r.Shares = nil, ""
	}
	if from.Attempts > 1 {
		retry := *config.NewRetry("connect-failure", "refused-stream") // the endpoint has seen nothing of the request
		if like := t.route.Policy.Retry; like != nil {
			retry = *like
		}
		if retry.Attempts = from.Attempts; from.RetryOn != nil {
			retry.On = from.RetryOn
		}
		r.Policy.Retry = &retry
	}
	if from.Idle > 0 {
		r.Idle = from.Idle
	}
	if from.MaxRequests > 0 && from.Redirect == nil {
		r.Policies.MaxRequests = from.MaxRequests
	}
	if from.MaxBody > 0 {
		r.Policies.Body = &config.Body{Max: strconv.FormatInt(from.MaxBody, 10)}
	}
}

// RedirectOf is a redirect of a catalog as a configuration has it.
func RedirectOf(from *catalog.Redirect) *config.Redirect {
	r := config.NewRedirect()
	r.Code, r.Scheme, r.Host, r.Path = from.Status, from.Scheme, from.Host, from.Path
	switch {
	case !from.Appends:
		r.StripQuery = !strings.Contains(from.Path, "?")
	case from.Strip != "":
		r.PathRegex, r.Substitution = "^(?:"+regexp.QuoteMeta(from.Strip)+")?/?(.*)$", strings.ReplaceAll(from.Path, `\`, `\\`)+`/\1`
		r.Path = ""
	case from.Path != "":
		r.PathRegex, r.Substitution = "^(.*)$", strings.ReplaceAll(from.Path, `\`, `\\`)+`\1`
		r.Path = ""
	}
	return r
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
