package config

import "time"

// Consul is a Consul agent, and what it is asked for. At the top level it says
// how the agent is reached; there the keys from "service" on, which say what it is
// asked for, are an error. In a cluster it says what is asked for, and each key of
// the agent that is left out is the top level's.
type Consul struct {
	// Address is the agent's, host and port; without one at the top level either
	// it is 127.0.0.1:8500.
	Address string `yaml:"address" format:"address"`
	// Token is an ACL token, a secret; it needs service:read and node:read, and
	// service:write to register. A cluster that has it, or a token_file, takes
	// neither from the top level.
	Token string `yaml:"token" secret:"true"`
	// TokenFile is a file that holds the token, in place of "token", and is read
	// again when it changes.
	TokenFile string `yaml:"token_file" format:"file"`
	// TLS encrypts the connections to the agent: {} is verified by the system's
	// authorities.
	TLS *ConsulTLS `yaml:"tls"`
	// Datacenter is the datacentre in which services are looked for; without one
	// it is the agent's.
	Datacenter string `yaml:"datacenter" format:"datacenter"`
	// Namespace is the namespace of Consul Enterprise.
	Namespace string `yaml:"namespace" format:"datacenter"`
	// Partition is the admin partition of Consul Enterprise.
	Partition string `yaml:"partition" format:"datacenter"`
	// Stale lets any server answer, also one that lags behind the leader. What
	// the top level allows, clusters can not forbid.
	Stale bool `yaml:"stale" default:"false"`
	// Wait is how long a query waits for a change until it is asked again; 0 is
	// the top level's, or 5m.
	Wait time.Duration `yaml:"wait" default:"0s" min:"0"`
	// Service is the service whose instances are the endpoints.
	Service string `yaml:"service" format:"name"`
	// Query is a prepared query, by name, in place of "service".
	Query string `yaml:"query" format:"name"`
	// Tags are tags that instances must have, all of them.
	Tags []string `yaml:"tags"`
	// Filter is an expression of Consul's filter language that instances must
	// match, such as Service.Meta.env == "prod".
	Filter string `yaml:"filter"`
	// Near sorts the instances by their distance to a node; "_agent" is the
	// agent's own.
	Near string `yaml:"near"`
	// OnlyPassing leaves instances out whose checks warn; without it they take
	// over as far as those that pass do not suffice, and get none where their
	// weight for a warning is 0. Critical instances get no requests, not even in
	// a panic.
	OnlyPassing bool `yaml:"only_passing" default:"false"`
	// Failover lists datacentres whose instances take over, in order, as far as
	// those of the first fail.
	Failover []string `yaml:"failover" format:"datacenter"`
}

// ConsulTLS encrypts the connections to a Consul agent.
type ConsulTLS struct {
	// CA is the file of the authorities that sign the agent's certificate;
	// without one they are the system's.
	CA string `yaml:"ca" format:"file"`
	// Cert is the file of the certificate that is shown to the agent.
	Cert string `yaml:"cert" format:"file"`
	// Key is the file of its private key.
	Key string `yaml:"key" format:"file"`
	// ServerName is the name that the agent's certificate must be for; without
	// one it is the address's host.
	ServerName string `yaml:"server_name" format:"hostname"`
	// InsecureSkipVerify takes any certificate.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify" default:"false"`
}

// Catalog says how listeners with a catalog serve its services: by Host
// (payments, payments.service.consul), and by tags, hopscope-route=HOST/PATH or
// Fabio's urlprefix-HOST/PATH. Clients have to send their requests to the proxy with
// such a name in Host: by HTTP_PROXY, or where the name resolves to the proxy's
// address.
type Catalog struct {
	// Suffixes are domains below which each service has a name besides: with
	// [mesh], payments is payments.mesh too.
	Suffixes []string `yaml:"suffixes" format:"domain"`
	// Like is the name of a cluster whose settings the services' clusters have,
	// all but where its endpoints come from, which it need not say; without one they
	// have the defaults. Services that speak HTTP/2 in plain text, as gRPC servers do,
	// need one with protocol "http2", or a tag with the option proto=grpc.
	Like string `yaml:"like" ref:"clusters"`
	// Timeout is the time for a whole response, from the end of the request;
	// 0 is none.
	Timeout time.Duration `yaml:"timeout" default:"15s" min:"0"`
}

// Discovery is what is kept of what sources of endpoints said: those of clusters, in
// Consul, the DNS and files, and the catalog.
type Discovery struct {
	// Cache is a file that what they said last is written to, so that a proxy which
	// starts while they are away begins with that. Each proxy needs a file of its
	// own, in a directory that it may write to. Without one nothing is kept.
	Cache string `yaml:"cache" format:"file"`
	// MaxAge is how old what is in the file may be; what is older is not used.
	MaxAge time.Duration `yaml:"max_age" default:"24h" min:"1s"`
}

// Register puts the service into a catalog.
type Register struct {
	// Consul registers it with a Consul agent.
	Consul *RegisterConsul `yaml:"consul"`
}

// RegisterConsul registers the service, and this proxy as its sidecar, with the
// Consul agent of the top level. Both are taken out first when draining. The
// sidecar is as healthy as the service, so that both come and go together. What
// Consul has under the same id is compared with what is written here, at the
// start, at a reload and at an upgrade, and changed where it differs; after that
// what others change is left to them. A registration that is lost is made again,
// with the health that it had.
type RegisterConsul struct {
	// Name is the service's name in the catalog; without one it is the top
	// level's "service".
	Name string `yaml:"name" format:"name"`
	// ID tells instances of one name on one agent apart; without one it is the
	// name, the host's name and the port.
	ID string `yaml:"id" format:"name"`
	// Address is where others reach the service: a host. Without one it is the
	// agent's.
	Address string `yaml:"address" format:"ip"`
	// Port is where others reach the service; 0 is the port of the first inbound
	// listener, so that they come by this proxy. Any other port is taken for the
	// application's own, whose health does not depend on this proxy.
	Port int `yaml:"port" default:"0" min:"0" max:"65535"`
	// Tags are the service's tags. Of one such as password=x the admin API shows
	// no value.
	Tags []string `yaml:"tags"`
	// Meta is the service's metadata; the values are not shown by the admin API
	// and in errors, though whoever may read the catalog sees them.
	Meta map[string]string `yaml:"meta" secret:"true"`
	// Weight is the instance's share of requests beside the others' weights.
	Weight int `yaml:"weight" default:"1" min:"1" max:"65535"`
	// Check is how the agent looks after the application itself; without one it
	// connects to the first endpoint of the first inbound listener's cluster.
	// Where others come by this proxy the agent connects to its listener as well,
	// as often, and the service is healthy if both are: a proxy that has died
	// gets no more requests.
	Check *RegisterCheck `yaml:"check"`
	// Sidecar registers this proxy as well, by the service's name with
	// -sidecar-proxy behind it.
	Sidecar bool `yaml:"sidecar" default:"true"`
}

// RegisterCheck is how the agent looks after the application: by one of "http",
// "tcp" and "grpc".
type RegisterCheck struct {
	// HTTP is a URL that must answer with a 2xx.
	HTTP string `yaml:"http" format:"url"`
	// TCP is an address, host and port, that must take a connection.
	TCP string `yaml:"tcp" format:"address"`
	// GRPC is an address, host and port, whose grpc.health.v1 must say SERVING.
	GRPC string `yaml:"grpc" format:"address"`
	// Interval is the time from one check to the next.
	Interval time.Duration `yaml:"interval" default:"5s" min:"1s"`
	// Timeout is the time for an answer.
	Timeout time.Duration `yaml:"timeout" default:"1s" min:"1ms"`
	// DeregisterAfter takes an instance, and its sidecar, out of the catalog
	// when it was critical for so long; 0 is never. Consul takes less than 1m for
	// 1m.
	DeregisterAfter time.Duration `yaml:"deregister_after" default:"0s" min:"0"`
}

// DNS takes the endpoints from the addresses of a name, which is looked up again
// when an answer's time to live is over.
type DNS struct {
	// Name is the name that is looked up.
	Name string `yaml:"name" required:"true" format:"domain"`
	// Port is the endpoints' port; with type "srv" it is left out, as the records
	// have their own, and with every other type it must be given.
	Port int `yaml:"port" default:"0" min:"0" max:"65535"`
	// Type is what is asked for: "auto" (A and AAAA), "a", "aaaa" or "srv", whose
	// weight of 0 counts as 1: a small share beside those of others (RFC 2782).
	Type string `yaml:"type" default:"auto" enum:"auto,a,aaaa,srv"`
	// Mode is "strict", where each address is an endpoint and the answer is all
	// there is, or "logical", where the name is one endpoint and new connections
	// go to the first address of the last answer: for names of large services
	// whose answers hold a few of many addresses.
	Mode string `yaml:"mode" default:"strict" enum:"strict,logical"`
	// Resolver is the DNS server that is asked, host and port; without one they
	// are those of the system.
	Resolver string `yaml:"resolver" format:"address"`
	// Refresh is how often a name is looked up whose answer has no time to live,
	// such as one of the hosts file.
	Refresh time.Duration `yaml:"refresh" default:"5s" min:"10ms"`
	// MinTTL is the least time that an answer is good for, whatever its time to
	// live. That a name is gone is asked for again within 1s, and every 5s at
	// last, and believed when it was said until its negative time to live is over.
	MinTTL time.Duration `yaml:"min_ttl" default:"1s" min:"10ms"`
	// MaxTTL is the longest time that an answer is good for.
	MaxTTL time.Duration `yaml:"max_ttl" default:"1h" min:"10ms"`
}

// EndpointFile takes the endpoints from a file.
type EndpointFile struct {
	// Path is the file, in YAML or JSON: a key endpoints with a list of
	// addresses, or of mappings of address, weight, priority, region, zone,
	// health and metadata. It is read again when it changes.
	Path string `yaml:"path" required:"true" format:"file"`
}
