package resources_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/catalog"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/resources"
)

func service(name string, instances ...catalog.Instance) catalog.Service {
	return catalog.Service{Name: name, Instances: instances}
}

func at(address string, tags ...string) catalog.Instance {
	return catalog.Instance{Endpoint: discovery.Endpoint{Address: address, Weight: 1}, Tags: tags}
}

// marked is an instance with another weight and with metadata.
func marked(i catalog.Instance) catalog.Instance {
	i.Weight, i.Metadata = 2, map[string]string{"version": "v2"}
	return i
}

func templateOf(c *config.Config) *resources.Template {
	return resources.TemplateOf(c, resources.FromConfig(c))
}

func fromCatalog(stale error, services ...catalog.Service) *resources.Set {
	return resources.FromCatalog(catalog.Compile(services, catalog.Options{}), templateOf(config.New()), stale, time.Now())
}

func TestDiffOfCatalogs(t *testing.T) {
	a, b, c := service("a", at("1")), service("b", at("2", "urlprefix-/b")), service("c", at("3"))
	for _, tt := range []struct {
		name string
		now  *resources.Set
		want []string
	}{
		{"nothing", fromCatalog(nil, a, b, c), nil},
		{"an endpoint more", fromCatalog(nil, service("a", at("1"), at("9")), b, c), []string{"endpoints [catalog:a]"}},
		{"a weight and metadata", fromCatalog(nil, service("a", marked(at("1"))), b, c), []string{"endpoints [catalog:a]"}},
		{"no endpoint any more", fromCatalog(nil, service("a"), b, c), []string{"endpoints [catalog:a]"}},
		{"a service less", fromCatalog(nil, a, b), []string{"routes [catalog:consul]", "-cluster [catalog:c]"}},
		{"a service more", fromCatalog(nil, a, b, c, service("d")), []string{"routes [catalog:consul]", "+cluster [catalog:d]"}},
		{"a protocol", fromCatalog(nil, a, service("b", at("2", "urlprefix-/b proto=grpc")), c), []string{"cluster [catalog:b]"}},
		{"TLS", fromCatalog(nil, a, service("b", at("2", "urlprefix-/b proto=https")), c), []string{"cluster [catalog:b]", "+secret [upstream:b]"}},
		{"an option of a route", fromCatalog(nil, a, service("b", at("2", "urlprefix-/b strip=/b")), c), []string{"routes [catalog:consul]"}},
		{"it can't be asked", fromCatalog(errAway, a, b, c), []string{"endpoints [catalog:a catalog:b catalog:c]"}},
		{"everything", fromCatalog(nil), []string{"routes [catalog:consul]", "-cluster [catalog:a catalog:b catalog:c]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := resources.Diff(fromCatalog(nil, a, b, c), tt.now)
			if diff := cmp.Diff(tt.want, said(d)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A cluster of the catalog has the settings of the one that it is like, but for its
// endpoints and for what its tags say of how it is spoken to.
func TestClustersOfACatalogAreLikeAnother(t *testing.T) {
	c := mesh(cluster("web", func(c *config.Cluster) {
		c.ConnectTimeout, c.Balance.ZoneAware = time.Hour, true
		c.Retry, c.TLS = config.NewRetry("reset"), &config.ClusterTLS{CA: "ca.pem", SNI: "web.test"}
	}))
	c.Catalog.Like = "web"
	plan := catalog.Compile([]catalog.Service{
		service("plain", at("1")),
		service("grpc", at("2", "urlprefix-/g proto=grpc")),
		service("tls", at("3", "urlprefix-/t proto=https")),
		service("other", at("4", "urlprefix-/o proto=https tlsskipverify=true")),
	}, catalog.Options{})
	at := time.Now()
	s := resources.FromCatalog(plan, templateOf(c), nil, at)
	for name, want := range map[string]struct {
		protocol string
		tls      *config.ClusterTLS
	}{
		"plain": {"auto", nil},
		"grpc":  {"http2", nil},
		"tls":   {"auto", &config.ClusterTLS{CA: "ca.pem", SNI: "web.test"}},
		"other": {"auto", &config.ClusterTLS{CA: "ca.pem", SNI: "web.test", InsecureSkipVerify: true}},
	} {
		c := s.Clusters[resources.ID{Origin: resources.Catalog, Name: name}]
		if c == nil {
			t.Errorf("there is no cluster %s", name)
			continue
		}
		if c.Settings.Protocol != want.protocol {
			t.Errorf("%s is spoken to in %s", name, c.Settings.Protocol)
		}
		if diff := cmp.Diff(want.tls, c.Settings.TLS); diff != "" {
			t.Errorf("the TLS of %s (-want +got):\n%s", name, diff)
		}
		if c.Settings.ConnectTimeout != time.Hour || c.Zone != "a" || c.Settings.Retry != nil || len(c.Settings.Endpoints) > 0 {
			t.Errorf("%s is not like the other: %+v", name, c)
		}
		if c.Fed == nil || len(c.Fed.Endpoints) != 1 || c.Fed.At != at {
			t.Errorf("%s is fed %+v", name, c.Fed)
		}
		id, secret := c.Secret()
		if secret != (want.tls != nil) || secret && s.Secrets[id].Client != c.Settings.TLS {
			t.Errorf("the secret of %s is %+v", name, s.Secrets[id])
		}
	}
	routes := s.Routes[resources.CatalogTable].Routes
	for _, r := range routes {
		if r.Timeout != c.Catalog.Timeout || r.Shares != "web" || r.Policy.Retry == nil || r.Cluster.Origin != resources.Catalog {
			t.Errorf("a route is not like those of the other: %+v", r)
		}
	}
	if len(routes) != 7 {
		t.Errorf("there are %d routes", len(routes))
	}
}

// A route takes the policy of its cluster, as far as it has none of its own.
func TestPolicyOfARoute(t *testing.T) {
	of := func(change func(*config.Route)) resources.Route {
		c := mesh(cluster("web", func(c *config.Cluster) {
			c.Retry, c.Hedge, c.Balance.Hash = config.NewRetry("reset"), config.NewHedge(time.Second), []config.HashOn{{Path: true}}
		}))
		r := config.NewRoute("web")
		change(&r)
		c.Listeners[0].Routes = []config.Route{r}
		return resources.FromConfig(c).Routes[resources.ID{Name: "in"}].Routes[0]
	}
	plain := of(func(*config.Route) {})
	if p := plain.Policy; plain.Shares != "web" || p.Retry.On[0] != "reset" || p.Hedge.After != time.Second || len(p.Hash) != 1 {
		t.Errorf("without a policy of its own it has %+v, shared with %q", p, plain.Shares)
	}
	own := of(func(r *config.Route) {
		r.Retry, r.Hedge = config.NewRetry("5xx"), &config.Hedge{After: time.Hour, Attempts: 1}
	})
	if p := own.Policy; own.Shares != "" || p.Retry.On[0] != "5xx" || p.Hedge != nil || len(p.Hash) != 1 {
		t.Errorf("with a policy of its own it has %+v, shared with %q", p, own.Shares)
	}
	for want, change := range map[string]func(*config.Route){
		"default": func(*config.Route) {},
		"/a":      func(r *config.Route) { r.Match.PathPrefix = "/a" },
		"/b":      func(r *config.Route) { r.Match.Path, r.Match.PathPrefix = "/b", "/a" },
		"named":   func(r *config.Route) { r.Name, r.Match.Path = "named", "/b" },
	} {
		if got := of(change).Name; got != want {
			t.Errorf("the route is named %q, not %q", got, want)
		}
	}
}

// What tags say of requests becomes what routes of a configuration say of them, and is as
// valid.
func TestOptionsOfTags(t *testing.T) {
	c := mesh(cluster("web", func(c *config.Cluster) { c.Retry = remembering(4, "reset") }))
	users := config.NewBasicAuth("users")
	for name, tt := range map[string]struct {
		like, tag string
		want      func(*config.Route)
	}{
		"nothing": {"", "/a", func(*config.Route) {}},
		"retries": {"", "/a retries=2", func(r *config.Route) { r.Retry = retrying(3, "connect-failure", "refused-stream") }},
		"retries on what is listed": {"", "/a retry_on=5xx,gateway-error,reset,connect-failure,refused-stream,retriable-4xx,cancelled,deadline-exceeded,internal,resource-exhausted,unavailable", func(r *config.Route) {
			r.Retry = retrying(2, "5xx", "cancelled", "connect-failure", "deadline-exceeded", "gateway-error", "internal", "refused-stream", "reset", "resource-exhausted", "retriable-4xx", "unavailable")
		}},
		"retries as others":         {"web", "/a", func(r *config.Route) { r.Retry = c.Clusters["web"].Retry }},
		"more retries than others":  {"web", "/a retries=9", func(r *config.Route) { r.Retry = remembering(10, "reset") }},
		"other retries than others": {"web", "/a retry_on=5xx", func(r *config.Route) { r.Retry = remembering(2, "5xx") }},
		"no retries":                {"web", "/a retries=0", func(*config.Route) {}},
		"limits": {"", "/a idle_timeout=1m max_requests=10 body=1KiB", func(r *config.Route) {
			r.IdleTimeout, r.MaxRequests, r.Body = time.Minute, 10, &config.Body{Max: "1024"}
		}},
		"a redirect": {"", "/a max_requests=10 redirect=301,https://b/", func(*config.Route) {}},
		"passwords":  {"", "/a auth=staff", func(r *config.Route) { r.BasicAuth = users }},
	} {
		t.Run(name, func(t *testing.T) {
			c.Catalog.Like, c.Catalog.Auth = tt.like, map[string]config.BasicAuth{"staff": *users}
			plan := catalog.Compile([]catalog.Service{service("s", at("1", "hopscope-route="+tt.tag))}, catalog.Options{Auth: []string{"staff"}})
			if slices.ContainsFunc(plan.Problems, func(p catalog.Problem) bool { return p.Tag != "" }) {
				t.Fatal(plan.Problems)
			}
			table := resources.FromCatalog(plan, templateOf(c), nil, time.Now()).Routes[resources.CatalogTable].Routes
			got, want := table[len(table)-1], config.NewRoute("web")
			tt.want(&want)
			if diff := cmp.Diff(want.RoutePolicies, got.Policies, cmpopts.IgnoreUnexported(config.BasicAuth{})); diff != "" || got.Idle != want.IdleTimeout {
				t.Errorf("idle %s, policies (-want +got):\n%s", got.Idle, diff)
			}
			if diff := cmp.Diff(want.Retry, got.Policy.Retry); diff != "" {
				t.Errorf("retry (-want +got):\n%s", diff)
			}
			checked := config.New()
			checked.Clusters["web"] = config.NewCluster("127.0.0.1:1")
			l := config.NewListener("in", ":80")
			l.Routes = []config.Route{want}
			checked.Listeners = []config.Listener{l}
			if err := checked.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

func retrying(attempts int, on ...string) *config.Retry {
	r := config.NewRetry(on...)
	r.Attempts = attempts
	return r
}

// remembering is retrying with little content.
func remembering(attempts int, on ...string) *config.Retry {
	r := retrying(attempts, on...)
	r.MaxBody = 7
	return r
}
