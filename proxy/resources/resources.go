package resources

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/config"
)

// Origin is who says that a resource is there. Resources of two origins may have the
// same name.
type Origin uint8

const (
	// Configuration is the configuration file.
	Configuration Origin = iota
	// ForwardProxy is a listener that is a forward proxy. Its cluster, whose endpoints
	// are what requests ask for, is named after it.
	ForwardProxy
	// Catalog is the service catalog that listeners serve.
	Catalog
)

// ID names a cluster or a route table.
type ID struct {
	Origin Origin
	Name   string
}

// CatalogTable is the route table of the catalog.
var CatalogTable = ID{Catalog, "consul"}

// Compare orders IDs by origin, then by name.
func (id ID) Compare(other ID) int {
	return cmp.Or(cmp.Compare(id.Origin, other.Origin), strings.Compare(id.Name, other.Name))
}

// Side is the side of the proxy on which a secret is used.
type Side uint8

const (
	// Upstream secrets are clusters': what endpoints are asked for and shown.
	Upstream Side = iota
	// Downstream secrets are listeners': what clients are shown and asked for.
	Downstream
)

// SecretID names a secret after the cluster or listener that it belongs to.
type SecretID struct {
	Side Side
	ID
}

// Compare orders secrets by their side, then by ID.
func (id SecretID) Compare(other SecretID) int {
	return cmp.Or(cmp.Compare(id.Side, other.Side), id.ID.Compare(other.ID))
}

// Set is what a proxy is made of at one moment. It is never changed once it was
// made, and neither is what it holds.
type Set struct {
	// Listeners are in the order of the configuration.
	Listeners []*Listener
	Routes    map[ID]*RouteTable
	Clusters  map[ID]*Cluster
	Secrets   map[SecretID]*Secret
	// Auth is who is asked for passwords where a tag of the catalog says so, by the names
	// that tags have. Whoever reads files sets the users.
	Auth map[string]*config.BasicAuth
	// Settings are all else that the configuration has, in its order.
	Settings []Setting
}

// Listener is an address that takes requests.
type Listener struct {
	Name   string
	Socket config.ListenerSocket
	HTTP   config.ListenerHTTP // as it is written; its routes are the first of the tables
	// Pages is what the files of its error pages hold, in their order. Whoever reads files
	// sets it.
	Pages []string
	// Tables are the route tables in the order in which they are tried.
	Tables []ID
}

// RouteTable is a list of routes, of which the first that matches is taken. That of a
// listener is named after it.
type RouteTable struct {
	ID
	Routes []Route
}

// Route says where the requests go that match.
type Route struct {
	// Name is the route's in metrics and spans.
	Name  string
	Match config.Match
	// Unnamed says that the name is no template of the requests' paths, but was made up.
	Unnamed bool
	// Cluster is where requests go. Without a name, targets, a redirect and an answer the
	// route is closed: its requests are refused.
	Cluster ID
	// Closed is why a route of the catalog is closed; "" for one that is not.
	Closed string
	// Targets are where requests go in the place of Cluster: each gets a share, or the one
	// whose cluster has the name that the field ClusterHeader of a request says.
	Targets       []Target
	ClusterHeader string
	// Sticky keeps clients at their target; nil does not.
	Sticky *config.Sticky
	// Guard watches a target; nil for none.
	Guard *config.Guard
	// Redirect is where clients are sent, and Answer the response that they get; nil for
	// neither. Content is what the file of the answer holds: whoever reads files sets it.
	Redirect *config.Redirect
	Answer   *config.Answer
	Content  string
	// Mirrors are where copies of its requests go.
	Mirrors []Mirror
	// Timeout is the time for a whole response, from the end of the request; 0 is none.
	Timeout time.Duration
	// Idle is how long a request may go on without a byte moving; 0 is the listener's.
	Idle time.Duration
	// High says that its requests are of high priority to the circuit breakers of clusters.
	High bool
	// Policy is the route's own, or else its cluster's.
	Policy Policy
	// Shares is the cluster of the configuration with all of whose routes this one
	// shares its retry budget; "" is none.
	Shares string
	// Subset is the metadata that endpoints must have.
	Subset map[string]string
	// Session keeps clients at their endpoint; nil is off.
	Session *config.StatefulSession
	// Strip is taken from the front of the path where it is there; Prepend is put in
	// front of what is left.
	Strip, Prepend string
	// InternalRedirects says which redirects are followed; nil is none.
	InternalRedirects *config.InternalRedirects
	// Rewrite changes path and host in their place; nil is none.
	Rewrite *config.Rewrite
	// RequestHeaders and ResponseHeaders change fields; nil is none.
	RequestHeaders, ResponseHeaders *config.HeaderChanges
	// Host is the Host field that the endpoint sees: "" for the client's, "endpoint"
	// for the endpoint's own address.
	Host string
	// Slow is the duration from which a request counts as slow; 0 is the telemetry's.
	Slow time.Duration
	// Traces is the route's own sampling; nil is the telemetry's.
	Traces *config.RouteTraces
	// Policies are what its filters do.
	Policies config.RoutePolicies
}

// Target is a cluster to which a part of a route's requests goes.
type Target struct {
	Cluster ID
	// Variant names it among those that each get a share, and Weight is that share, as
	// against the sum of all.
	Variant string
	Weight  uint32
	// RequestHeaders and ResponseHeaders change fields, after those of the route; nil is none.
	RequestHeaders, ResponseHeaders *config.HeaderChanges
	// Policy and Shares are as those of [Route], for this cluster.
	Policy Policy
	Shares string
}

// Mirror is where copies of a route's requests go.
type Mirror struct {
	Cluster  ID
	Settings config.Mirror
	Hash     []config.HashOn // what the endpoint is chosen by
}

// Cluster is a group of endpoints.
type Cluster struct {
	ID
	// Settings are what the running cluster is made of: without what its routes go by,
	// which is in [Route]. Consul is complete: see [config.Config.ConsulFor].
	Settings *config.Cluster
	// Zone is where this proxy runs, for a cluster that goes by it.
	Zone string
	// Written is what the configuration has of the cluster, nil for none.
	Written *config.Cluster
	// Fed is what is known of the endpoints where whoever made the set knows them;
	// nil where the cluster has, or asks for, its own.
	Fed *Endpoints
}

// Policy is what a route goes by where it sends requests to a cluster.
type Policy struct {
	Retry *config.Retry   // nil is what can't have reached an endpoint
	Hedge *config.Hedge   // nil is off
	Hash  []config.HashOn // what the endpoint is chosen by
}

// Endpoints are those of a cluster, as they are known.
type Endpoints struct {
	discovery.Update
	// At is when they were last known to be so.
	At time.Time
}

// Template reports whether the cluster is there for others to be like it. It has no
// endpoints and is not run.
func (c *Cluster) Template() bool { return c.Origin == Configuration && c.Settings.Template() }

// Secret is the TLS of a cluster or a listener.
type Secret struct {
	SecretID
	Client *config.ClusterTLS  // of a cluster
	Server *config.ListenerTLS // of a listener
	// Protocol is the cluster's, which decides what is asked for by ALPN.
	Protocol string
}

// Secret returns the name of the cluster's secret; false where there is none.
func (c *Cluster) Secret() (SecretID, bool) {
	return SecretID{Upstream, c.ID}, c.Settings.TLS != nil
}

// ServerSecret is the name of a listener's secret.
func ServerSecret(listener string) SecretID {
	return SecretID{Downstream, ID{Configuration, listener}}
}

// Setting is a key of the configuration that is no resource.
type Setting struct {
	Key   string
	Value any
	// Fixed settings can't change while the proxy runs.
	Fixed bool
}

// newSet returns a set of nothing, to be filled in.
func newSet() *Set {
	return &Set{Routes: map[ID]*RouteTable{}, Clusters: map[ID]*Cluster{}, Secrets: map[SecretID]*Secret{}}
}

// add adds a cluster with its secret.
func (s *Set) add(c *Cluster) {
	s.Clusters[c.ID] = c
	if id, ok := c.Secret(); ok {
		s.Secrets[id] = &Secret{SecretID: id, Client: c.Settings.TLS, Protocol: c.Settings.Protocol}
	}
}

// Join returns a set of the resources of both. Where both have one of the same name,
// it is the other's.
func (s *Set) Join(other *Set) *Set {
	joined := newSet()
	for _, part := range []*Set{s, other} {
		joined.Listeners = append(joined.Listeners, part.Listeners...)
		joined.Settings = append(joined.Settings, part.Settings...)
		maps.Copy(joined.Routes, part.Routes)
		maps.Copy(joined.Clusters, part.Clusters)
		maps.Copy(joined.Secrets, part.Secrets)
	}
	joined.Auth = s.Auth
	return joined
}

// Of returns the route tables, clusters and secrets of one origin.
func (s *Set) Of(origin Origin) *Set {
	part := newSet()
	for id, t := range s.Routes {
		if id.Origin == origin {
			part.Routes[id] = t
		}
	}
	for id, c := range s.Clusters {
		if id.Origin == origin {
			part.Clusters[id] = c
		}
	}
	for id, secret := range s.Secrets {
		if id.Origin == origin {
			part.Secrets[id] = secret
		}
	}
	return part
}

// ServesCatalog reports whether a listener of the set serves the catalog.
func (s *Set) ServesCatalog() bool {
	return slices.ContainsFunc(s.Listeners, func(l *Listener) bool { return slices.Contains(l.Tables, CatalogTable) })
}
