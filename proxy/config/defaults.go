package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// New returns a Config with every default in place, no listener and no
// cluster. To build a Config in code, start with the New functions of this
// file, change what must differ, and end with [Config.Validate]: a zero value
// in a struct means zero (no timeout, no Via), never the default.
func New() *Config {
	c := withDefaults[Config]()
	return &c
}

// NewMesh returns a mesh of static peers with every default in place.
func NewMesh(peers ...string) *Mesh {
	m := withDefaults[Mesh]()
	m.Peers = peers
	return &m
}

// NewListener returns a listener with every default in place.
func NewListener(name, address string) Listener {
	l := withDefaults[Listener]()
	l.Name, l.Address = name, address
	return l
}

// NewListenerTLS returns the TLS of a listener with one certificate, given by
// its files, and every default in place.
func NewListenerTLS(cert, key string) *ListenerTLS {
	t := withDefaults[ListenerTLS]()
	t.Certificates = []Certificate{{Cert: cert, Key: key}}
	return &t
}

// NewForwardProxy returns a forward proxy with every default in place.
func NewForwardProxy() *ForwardProxy {
	f := withDefaults[ForwardProxy]()
	return &f
}

// NewRoute returns a route for every request, with every default in place.
func NewRoute(cluster string) Route {
	r := withDefaults[Route]()
	r.Cluster = cluster
	return r
}

// NewDecompress decompresses every coding, with every default in place.
func NewDecompress() *Decompress {
	d := withDefaults[Decompress]()
	return &d
}

// NewMirror returns a mirror of all requests, with every default in place.
func NewMirror(cluster string) Mirror {
	m := withDefaults[Mirror]()
	m.Cluster = cluster
	return m
}

// NewMatch returns a match of every request.
func NewMatch() Match { return withDefaults[Match]() }

// NewRedirect returns a redirect with every default in place. Set a part of the URL.
func NewRedirect() *Redirect {
	r := withDefaults[Redirect]()
	return &r
}

// NewAnswer returns an empty answer with every default in place.
func NewAnswer() *Answer {
	a := withDefaults[Answer]()
	return &a
}

// NewCluster returns a cluster with every default in place.
func NewCluster(endpoints ...string) Cluster {
	c := withDefaults[Cluster]()
	c.Endpoints = endpoints
	return c
}

// NewClusterTLS returns the TLS of a cluster with every default in place: the
// endpoints are verified by the system's authorities.
func NewClusterTLS() *ClusterTLS {
	t := withDefaults[ClusterTLS]()
	return &t
}

// NewStaticEndpoint returns an endpoint with every default in place.
func NewStaticEndpoint(address string) StaticEndpoint {
	e := withDefaults[StaticEndpoint]()
	e.Address = address
	return e
}

// NewConsul returns a service of Consul's catalog with every default in place;
// [Config.ConsulFor] adds the top level's agent.
func NewConsul(service string) *Consul {
	c := withDefaults[Consul]()
	c.Service = service
	return &c
}

// NewDNS returns a name whose addresses are endpoints, with every default in
// place.
func NewDNS(name string, port int) *DNS {
	d := withDefaults[DNS]()
	d.Name, d.Port = name, port
	return &d
}

// NewHashOn returns a part of a request with every default in place. Set the key that
// says which part.
func NewHashOn() HashOn { return withDefaults[HashOn]() }

// NewSlowStart returns a slow start with every default in place.
func NewSlowStart() *SlowStart {
	s := withDefaults[SlowStart]()
	return &s
}

// NewSubsets returns subsets by one selector, given by its keys, with every
// default in place.
func NewSubsets(keys ...string) *Subsets {
	s := withDefaults[Subsets]()
	s.Selectors = []Selector{{Keys: keys}}
	return &s
}

// NewRetry returns a retry policy with every default in place.
func NewRetry(on ...string) *Retry {
	r := withDefaults[Retry]()
	r.On = on
	return &r
}

// NewRetryBudget returns a retry budget with every default in place.
func NewRetryBudget() *RetryBudget {
	b := withDefaults[RetryBudget]()
	return &b
}

// NewHedge returns a hedging policy with every default in place.
func NewHedge(after time.Duration) *Hedge {
	h := withDefaults[Hedge]()
	h.After = after
	return &h
}

// NewOutlier returns an ejection policy with every default in place.
func NewOutlier() *Outlier {
	o := withDefaults[Outlier]()
	return &o
}

// NewHealthCheck returns a health check with every default in place. Set HTTP, TCP or
// GRPC.
func NewHealthCheck() HealthCheck { return withDefaults[HealthCheck]() }

// NewHTTPCheck returns a check by a request with every default in place.
func NewHTTPCheck(path string) *HTTPCheck {
	h := withDefaults[HTTPCheck]()
	h.Path = path
	return &h
}

// NewRegisterConsul returns a registration with every default in place.
func NewRegisterConsul() *RegisterConsul {
	r := withDefaults[RegisterConsul]()
	return &r
}

// NewRegisterCheck returns a check of the application with every default in place. Set
// HTTP, TCP or GRPC.
func NewRegisterCheck() *RegisterCheck {
	r := withDefaults[RegisterCheck]()
	return &r
}

// NewOTLP returns an OpenTelemetry collector with every default in place.
func NewOTLP(endpoint string) *OTLP {
	o := withDefaults[OTLP]()
	o.Endpoint = endpoint
	return &o
}

// NewZipkin returns a Zipkin collector with every default in place.
func NewZipkin(url string) *Zipkin {
	z := withDefaults[Zipkin]()
	z.URL = url
	return &z
}

func withDefaults[T any]() T {
	var t T
	setDefaults(reflect.ValueOf(&t).Elem())
	return t
}

// setDefaults sets every key of a struct to its default. It makes maps, so that they can
// be written to. Pointers stay nil: their values are absent.
func setDefaults(v reflect.Value) {
	for _, k := range keysOf(v.Type()) {
		field := v.FieldByIndex(k.index)
		switch kindOf(k.typ) {
		case kindStruct:
			setDefaults(field)
		case kindMap:
			field.Set(reflect.MakeMap(k.typ))
		case kindPointer:
		default:
			if k.def != "" {
				field.Set(k.defaultValue())
			}
		}
	}
}

// defaultValue parses the default tag. The package's tests check every tag.
func (k key) defaultValue() reflect.Value {
	var words []string
	if kindOf(k.typ) != kindList {
		v, err := parseScalar(k.typ, k.def)
		if err != nil {
			panic(fmt.Sprintf("config: default of %s: %v", k.name, err))
		}
		return v
	}
	words = strings.Split(k.def, ",")
	list := reflect.MakeSlice(k.typ, len(words), len(words))
	for i, w := range words {
		v, err := parseScalar(k.typ.Elem(), w)
		if err != nil {
			panic(fmt.Sprintf("config: default of %s: %v", k.name, err))
		}
		list.Index(i).Set(v)
	}
	return list
}
