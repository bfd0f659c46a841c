package config

import "time"

// Consul is a Consul agent, and what it is asked for. The top level says how the
// agent is reached. There the keys from "service" on are an error, since they say what
// it is asked for. A cluster says what it is asked for, and takes each key of the agent
// that it leaves out from the top level.
type Consul struct {
	// Address is the agent's host and port. The default at the top level is
	// 127.0.0.1:8500.
	Address string `yaml:"address" format:"address"`
	// Token is an ACL token, a secret. It needs service:read and node:read, and
	// service:write to register. A cluster with its own token or token_file takes neither
	// from the top level.
	Token string `yaml:"token" secret:"true"`
	// TokenFile is a file with the token, instead of "token". The proxy reads it again
	// when it changes.
	TokenFile string `yaml:"token_file" format:"file"`
	// TLS encrypts the connections to the agent; {} verifies it with the system's
	// authorities.
	TLS *ConsulTLS `yaml:"tls"`
	// Datacenter is the datacentre to look for services in; the default is the agent's.
	Datacenter string `yaml:"datacenter" format:"datacenter"`
	// Namespace is the namespace of Consul Enterprise.
	Namespace string `yaml:"namespace" format:"datacenter"`
	// Partition is the admin partition of Consul Enterprise.
	Partition string `yaml:"partition" format:"datacenter"`
	// Stale lets any server answer, even one that lags behind the leader. If the top
	// level allows it, clusters can't forbid it.
	Stale bool `yaml:"stale" default:"false"`
	// Wait is how long a query waits for a change until it is repeated; 0 is the top
	// level's, or 5m.
	Wait time.Duration `yaml:"wait" default:"0s" min:"0"`
	// Service is the service; its instances are the endpoints.
	Service string `yaml:"service" format:"name"`
	// Query is the name of a prepared query, instead of "service".
	Query string `yaml:"query" format:"name"`
	// Tags are tags that instances must have, all of them.
	Tags []string `yaml:"tags"`
	// Filter is an expression of Consul's filter language that instances must
	// match, such as Service.Meta.env == "prod".
	Filter string `yaml:"filter"`
	// Near sorts the instances by their distance to a node; "_agent" is the agent's own
	// node.
	Near string `yaml:"near"`
	// OnlyPassing leaves out instances with a check in the warning state. Without it they
	// take over as far as the passing ones do not suffice, unless their weight for a
	// warning is 0. Critical instances get no requests, not even in a panic.
	OnlyPassing bool `yaml:"only_passing" default:"false"`
	// Failover lists the datacentres whose instances take over, in order, as far as
	// those of the first one fail.
	Failover []string `yaml:"failover" format:"datacenter"`
}

// ConsulTLS encrypts the connections to a Consul agent.
type ConsulTLS struct {
	// CA is the file of the authorities that sign the agent's certificate; the default is
	// the system's authorities.
	CA string `yaml:"ca" format:"file"`
	// Cert is the file of the certificate that the proxy shows to the agent.
	Cert string `yaml:"cert" format:"file"`
	// Key is the file of the certificate's private key.
	Key string `yaml:"key" format:"file"`
	// ServerName is the name that the agent's certificate must be for; the default is the
	// host of the address.
	ServerName string `yaml:"server_name" format:"hostname"`
	// InsecureSkipVerify accepts any certificate.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify" default:"false"`
}

// Catalog says how listeners with a catalog serve its services: by Host (payments,
// payments.service.consul), and by tags, hopscope-route=HOST/PATH or Fabio's
// urlprefix-HOST/PATH. Clients must send requests to the proxy with such a name in Host:
// with HTTP_PROXY, or because the name resolves to the proxy's address.
type Catalog struct {
	// Suffixes are domains that give each service another name: with [mesh], payments is
	// also payments.mesh.
	Suffixes []string `yaml:"suffixes" format:"domain"`
	// Like is the name of a cluster. The services' clusters have its settings, but not
	// its endpoints: it needs none. Without one they have the defaults. Services that
	// speak HTTP/2 in plain text, as gRPC servers do, need one with protocol "http2", or a
	// tag with the option proto=grpc.
	Like string `yaml:"like" ref:"clusters"`
	// Timeout is the time for a whole response, from the end of the request;
	// 0 is none.
	Timeout time.Duration `yaml:"timeout" default:"15s" min:"0"`
	// Auth is who is asked for passwords where a tag says so: auth=staff stands for the entry
	// staff. A route whose tag names another is closed to all.
	Auth map[string]BasicAuth `yaml:"auth"`
}

// Discovery says what to keep of the last answers of sources of endpoints: Consul, the
// DNS, files and the catalog.
type Discovery struct {
	// Cache is a file for these answers. A proxy that starts while a source is away begins
	// with them. Each proxy needs a file of its own, in a directory that it may write to.
	// Without one nothing is kept.
	Cache string `yaml:"cache" format:"file"`
	// MaxAge is how old an answer in the file may be. Older ones are not used.
	MaxAge time.Duration `yaml:"max_age" default:"24h" min:"1s"`
}

// Register registers the service in a catalog.
type Register struct {
	// Consul registers it with a Consul agent.
	Consul *RegisterConsul `yaml:"consul"`
}

// RegisterConsul registers the service, and this proxy as its sidecar, with the
// Consul agent of the top level. Draining begins with taking both out. The sidecar
// is as healthy as the service, so both come and go together. At the start, at an
// upgrade, and at a reload that changes the registration, hopscope compares what
// Consul has under the same id, and changes what differs. It leaves alone what
// others change after that. A registration that is lost is made again, with the
// health that it had.
type RegisterConsul struct {
	// Name is the service's name in the catalog; the default is the top level's
	// "service".
	Name string `yaml:"name" format:"name"`
	// ID distinguishes instances of one name on one agent; the default is the name, the
	// host's name and the port.
	ID string `yaml:"id" format:"name"`
	// Address is the host where others reach the service; the default is the agent's.
	Address string `yaml:"address" format:"ip"`
	// Port is where others reach the service. 0 is the port of the first inbound
	// listener, so that requests come through this proxy. Any other port is taken for the
	// application's own, and its health does not depend on this proxy.
	Port int `yaml:"port" default:"0" min:"0" max:"65535"`
	// Tags are the service's tags. The admin API hides the value of a tag such as
	// password=x.
	Tags []string `yaml:"tags"`
	// Meta is the service's metadata. The admin API and errors hide the values, but
	// everyone who may read the catalog sees them.
	Meta map[string]string `yaml:"meta" secret:"true"`
	// Weight is the instance's share of the requests, relative to the other weights.
	Weight int `yaml:"weight" default:"1" min:"1" max:"65535"`
	// Check is how the agent checks the application itself. Without one, the agent
	// connects to the first endpoint of the first inbound listener's cluster. If
	// others reach the service through this proxy, the agent connects to its listener
	// too, as often, and the service is healthy if both are: a proxy that has died
	// gets no more requests. It connects to "address" if the listener is on every
	// interface, so that the agent may run elsewhere.
	Check *RegisterCheck `yaml:"check"`
	// Names are further services that this proxy is registered as, each while a healthy
	// instance in the catalog has a tag with register=NAME. It is registered with the port of
	// the first listener that serves the catalog. Tags with other names are ignored: a tag
	// could else put this proxy in the place of any service.
	Names []string `yaml:"names" format:"name"`
	// Sidecar registers this proxy as well, under the service's name followed by
	// -sidecar-proxy.
	Sidecar bool `yaml:"sidecar" default:"true"`
}

// RegisterCheck is how the agent checks the application: one of "http", "tcp" and
// "grpc".
type RegisterCheck struct {
	// HTTP is a URL that must answer with a 2xx.
	HTTP string `yaml:"http" format:"url"`
	// TCP is an address, host and port, that must accept a connection.
	TCP string `yaml:"tcp" format:"address"`
	// GRPC is an address, host and port, where grpc.health.v1 must answer SERVING.
	GRPC string `yaml:"grpc" format:"address"`
	// Interval is the time from one check to the next.
	Interval time.Duration `yaml:"interval" default:"5s" min:"1s"`
	// Timeout is the time for an answer.
	Timeout time.Duration `yaml:"timeout" default:"1s" min:"1ms"`
	// DeregisterAfter takes an instance, and its sidecar, out of the catalog when it
	// has been critical for this long; 0 is never. Consul's least is 1m.
	DeregisterAfter time.Duration `yaml:"deregister_after" default:"0s" min:"0"`
}

// DNS takes the endpoints from the addresses of a name, and looks it up again when the
// answer's TTL is over.
type DNS struct {
	// Name is the name to look up.
	Name string `yaml:"name" required:"true" format:"domain"`
	// Port is the endpoints' port. Leave it out with type "srv", since the records have
	// ports; every other type needs it.
	Port int `yaml:"port" default:"0" min:"0" max:"65535"`
	// Type is the type of the records: "auto" (A and AAAA), "a", "aaaa" or "srv". An SRV
	// record with a weight of 0 counts as 1, a small share beside the others (RFC 2782).
	Type string `yaml:"type" default:"auto" enum:"auto,a,aaaa,srv"`
	// Mode is "strict" or "logical". Strict: each address is an endpoint, and there are
	// no others than the answer's. Logical: the name is one endpoint, and new connections
	// go to the first address of the last answer. That is for large services, whose
	// answers hold a few of many addresses.
	Mode string `yaml:"mode" default:"strict" enum:"strict,logical"`
	// Resolver is the DNS server to ask, host and port; the default is the system's
	// servers.
	Resolver string `yaml:"resolver" format:"address"`
	// Refresh is how often to look up a name whose answer has no time to live, such as
	// one in the hosts file.
	Refresh time.Duration `yaml:"refresh" default:"5s" min:"10ms"`
	// MinTTL is the least time that an answer is good for, whatever its time to live. An
	// answer that the name does not exist is checked again within 1s, later every 5s. It
	// is believed once it has been repeated until its negative time to live is over.
	MinTTL time.Duration `yaml:"min_ttl" default:"1s" min:"10ms"`
	// MaxTTL is the longest time that an answer is used.
	MaxTTL time.Duration `yaml:"max_ttl" default:"1h" min:"10ms"`
}

// EndpointFile takes the endpoints from a file.
type EndpointFile struct {
	// Path is the file, in YAML or JSON. It has a key endpoints with a list of addresses,
	// or of mappings with address, weight, priority, region, zone, health and metadata.
	// The proxy reads it again when it changes.
	Path string `yaml:"path" required:"true" format:"file"`
}
