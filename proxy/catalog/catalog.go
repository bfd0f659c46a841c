package catalog

import (
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/route"
)

// Service is a service as the catalog has it, unhealthy instances included:
// a service of none that is healthy keeps its routes, one that is not in the
// catalog has none.
type Service struct {
	Name      string
	Instances []Instance
}

// Instance is one that serves a service, and its tags.
type Instance struct {
	discovery.Endpoint
	Tags []string
}

// Options say how services are found. The zero value is the defaults.
type Options struct {
	// Suffixes are the domains below which services are found by name, besides
	// the bare name. Nil is "service.consul", as Consul's DNS has it.
	Suffixes []string
	// Datacenter is what $DC and ${DC} in a tag's host and path stand for. Below
	// a suffix "service.X", services are also found in "service.DC.X". Empty is
	// unknown.
	Datacenter string
	// FabioPrefix is how tags in Fabio's form begin, its registry.consul.tagprefix.
	// Empty is "urlprefix-".
	FabioPrefix string
	// Auth are the names that a tag may ask for passwords by.
	Auth []string
	// Register are the names that a tag may have the proxy registered under.
	Register []string
}

// ownPrefix is how tags in hopscope's own form begin.
const ownPrefix = "hopscope-route="

// Plan is what a catalog comes to. It is never changed once it was compiled.
type Plan struct {
	// Routes are in the order in which to try them: see [route.Table].
	Routes []Route
	// Clusters are sorted by name.
	Clusters []Cluster
	// Registers are the names that the proxy is to be registered under: those that a tag of
	// an instance asks for that can serve. They are sorted.
	Registers []string
	// Problems are sorted, and each is told once however many instances have it.
	Problems []Problem
}

// Route is a host and path that requests ask for, and where they go.
type Route struct {
	// Name is the service's name for a route by name, host and path of the tag
	// for others.
	Name  string
	Match route.Match
	// Cluster is the name of one of the plan's clusters. It is empty for a redirect, and for
	// a route that is closed: its match has the clients that a tag keeps out, or a tag asks
	// to have it served in a way that hopscope does not know. Its requests are refused with
	// 403. Without such a route a less specific one would take them.
	Cluster string
	// Closed is why such a route is closed, and "" for others.
	Closed string
	// Redirect is where clients are sent; nil for a route that is no redirect.
	Redirect *Redirect
	// Strip is taken from the front of the path where it is there; what is left
	// gets a "/" in front if it has none.
	Strip string
	// Prepend goes in front of the path, after Strip.
	Prepend string
	// HostRewrite is the Host field that the endpoint sees: empty for the
	// client's, "endpoint" for the endpoint's own address, else this.
	HostRewrite string
	// Timeout is the time for a whole response; 0 is the catalog's.
	Timeout time.Duration
	// Attempts is how often a request is sent at most: 1 is without retries, 0 is as the
	// catalog's. RetryOn are the reasons, in Envoy's words; none are
	// the catalog's.
	Attempts int
	RetryOn  []string
	// Idle is how long a request may go on without a byte moving; 0 is the listener's.
	Idle time.Duration
	// MaxRequests is how many requests may be under way at once; 0 is no limit.
	MaxRequests int
	// MaxBody is how many bytes the content of a request may have; 0 is no limit.
	MaxBody int64
	// Auth is who is asked for passwords: one of the names of the options, or "" for nobody.
	Auth string
	// Compress says that responses are compressed.
	Compress bool
}

// Cluster is a group of endpoints that serve the same.
type Cluster struct {
	// Name is the service's for all of its instances and them alone, for others
	// the services, host and path: "a+b@shop.example.com/cart".
	Name string
	Transport
	// Endpoints are sorted by address, of which there are no two alike.
	Endpoints []discovery.Endpoint
}

// Transport is how a cluster's endpoints are spoken to.
type Transport struct {
	Protocol   string // "auto" or "http2", as in the configuration of clusters
	TLS        bool
	Insecure   bool   // any certificate is taken
	ServerName string // what the certificate must be for, empty for the endpoint's host
}

// plain is how endpoints are spoken to of which nothing is said.
var plain = Transport{Protocol: "auto"}

// Problem is what a plan could not do justice to.
type Problem struct {
	Service string
	Tag     string // empty for one that is of no tag
	Why     string
}
