package config

import "time"

// Cluster is a group of endpoints that serve the same.
type Cluster struct {
	// Endpoints are the addresses, host and port. A host name is resolved for each new
	// connection. A cluster has these, or one of "static", "consul", "dns" and "file".
	Endpoints []string `yaml:"endpoints" format:"address"`
	// Static lists endpoints with more than an address: weight, priority, zone,
	// metadata.
	Static []StaticEndpoint `yaml:"static"`
	// Consul takes the endpoints from Consul's catalog, and follows it.
	Consul *Consul `yaml:"consul"`
	// DNS takes the endpoints from the addresses of a name, and keeps looking it up.
	DNS *DNS `yaml:"dns"`
	// File takes the endpoints from a file, which is watched.
	File *EndpointFile `yaml:"file"`
	// Balance says which endpoint a request goes to.
	Balance Balance `yaml:"balance"`
	// Retry sends failed requests again, for routes without a "retry" of their own. Without
	// either, a request is sent again only if no endpoint can have seen anything of it.
	Retry *Retry `yaml:"retry"`
	// Hedge sends a request that takes long to a second endpoint as well, for
	// routes without a "hedge" of their own.
	Hedge *Hedge `yaml:"hedge"`
	// CircuitBreaker bounds what may be under way at once.
	CircuitBreaker CircuitBreaker `yaml:"circuit_breaker"`
	// Outlier takes out endpoints that fail more than the others. Without it none are
	// taken out.
	Outlier *Outlier `yaml:"outlier"`
	// HealthChecks ask the endpoints whether they are healthy. An endpoint that fails one
	// of them gets requests only in a panic. One whose first check has not ended gets
	// requests only while no other is healthy, even if balance.panic_threshold is 0.
	HealthChecks []HealthCheck `yaml:"health_checks"`
	// Protocol is the version of HTTP to use with the endpoints: "http1", "http2", or
	// "auto" for what ALPN agrees on. Without TLS, "auto" is HTTP/1.1 and "http2" is h2c
	// with prior knowledge.
	Protocol string `yaml:"protocol" default:"auto" enum:"http1,http2,auto"`
	// TLS encrypts the connections to the endpoints; without it they are plain.
	TLS *ClusterTLS `yaml:"tls"`
	// HTTP2 limits the connections that speak HTTP/2.
	HTTP2 HTTP2 `yaml:"http2"`
	// ConnectTimeout is the time for a connection to an endpoint, its TLS
	// handshake included.
	ConnectTimeout time.Duration `yaml:"connect_timeout" default:"5s" min:"1ms"`
	// IdleTimeout closes a pooled connection that has not been used for this long.
	IdleTimeout time.Duration `yaml:"idle_timeout" default:"1h" min:"1ms"`
	// MaxIdle is how many unused connections are kept for each endpoint.
	MaxIdle int `yaml:"max_idle" default:"256" min:"0"`
	// MaxHeaderBytes is the largest response head, in bytes. The interim responses
	// (1xx) to one request may have as many together, and there may be 100.
	MaxHeaderBytes int `yaml:"max_header_bytes" default:"61440" min:"1024" max:"1048576"`
	// MaxHeaderFields is the largest number of fields in a response head.
	MaxHeaderFields int `yaml:"max_header_fields" default:"100" min:"1" max:"10000"`
}

// Template reports whether the cluster has no endpoints of its own: it is there for
// catalog.like to name.
func (c *Cluster) Template() bool {
	return len(c.Endpoints) == 0 && len(c.Static) == 0 && c.Consul == nil && c.DNS == nil && c.File == nil
}

// ClusterTLS encrypts the connections to a cluster's endpoints. Files are in
// PEM, their paths relative to the directory that the proxy is started in; they
// are read again when they change.
type ClusterTLS struct {
	// CA is the file of the authorities that sign the endpoints' certificates;
	// without one they are the system's.
	CA string `yaml:"ca" format:"file"`
	// SNI is the name to ask endpoints for, and that their certificates must have. The
	// default is the endpoint's host.
	SNI string `yaml:"sni" format:"hostname"`
	// Cert is the file of the certificate that the proxy shows to endpoints
	// that ask for one, followed by those between it and its authority.
	Cert string `yaml:"cert" format:"file"`
	// Key is the file of its private key.
	Key string `yaml:"key" format:"file"`
	// SAN lists the names of which an endpoint's certificate must have one, in
	// place of the SNI: DNS names, with a leading "*." for one label in its
	// place, and SPIFFE ids, with "/*" at the end for all below.
	SAN []string `yaml:"san" format:"san"`
	// SPKI pins public keys: the endpoint's certificate, or one above it, must
	// have one of them. Each is the SHA-256 of the key's
	// SubjectPublicKeyInfo, in base64.
	SPKI []string `yaml:"spki" format:"spki"`
	// CRL is the file of the authorities' revocation lists, in PEM or DER.
	CRL string `yaml:"crl" format:"file"`
	// InsecureSkipVerify accepts any certificate. Pins still count. It is for trying things
	// out.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify" default:"false"`
	// MinVersion is the oldest version of TLS that is spoken.
	MinVersion string `yaml:"min_version" default:"1.2" enum:"1.2,1.3"`
	// MaxVersion is the newest.
	MaxVersion string `yaml:"max_version" default:"1.3" enum:"1.2,1.3"`
}

// StaticEndpoint is an endpoint that the configuration itself names.
type StaticEndpoint struct {
	// Address is host and port.
	Address string `yaml:"address" required:"true" format:"address"`
	// Weight is its share of requests beside the others' weights.
	Weight int `yaml:"weight" default:"1" min:"1" max:"1000000"`
	// Priority is 0 for endpoints that are used first. Those of a higher number take over
	// as far as those of lower numbers fail.
	Priority int `yaml:"priority" default:"0" min:"0" max:"100"`
	// Region is the region that it runs in.
	Region string `yaml:"region"`
	// Zone is the zone that it runs in, within its region.
	Zone string `yaml:"zone"`
	// Metadata is what subsets choose by, such as {version: v2}.
	Metadata map[string]string `yaml:"metadata"`
}

// Locality is where this proxy runs, which zone_aware compares with where
// endpoints run.
type Locality struct {
	// Region is the region, such as eu-west.
	Region string `yaml:"region"`
	// Zone is the zone within it, such as eu-west-1a.
	Zone string `yaml:"zone"`
}

// CircuitBreaker bounds what may be under way to a cluster at once.
type CircuitBreaker struct {
	// MaxConnections is how many connections to the cluster may be open at once. Beyond
	// that, up to MaxPending more requests wait for one; all others get 503 (UO).
	MaxConnections int `yaml:"max_connections" default:"1024" min:"1"`
	// MaxPending is how many requests may wait for a connection.
	MaxPending int `yaml:"max_pending" default:"1024" min:"0"`
	// MaxRequests is how many requests may be under way. Any beyond those get 503 (UO).
	MaxRequests int `yaml:"max_requests" default:"1024" min:"1"`
	// MaxRetries is how many retries may be under way, unless the retry
	// policy has a budget.
	MaxRetries int `yaml:"max_retries" default:"3" min:"0"`
}

// Balance says which endpoint a request goes to.
type Balance struct {
	// Policy is "round_robin" (in turn), "least_request" (of two that are drawn,
	// or as many as "choices" says, the one with the fewest requests under way),
	// "random", "ring_hash" or "maglev" (always the same endpoint for the same
	// "hash"), or "peak_ewma" (of two that are drawn, the one that is expected to
	// answer sooner). All of them hold weights.
	Policy string `yaml:"policy" default:"round_robin" enum:"round_robin,least_request,random,ring_hash,maglev,peak_ewma"`
	// Hash lists the parts of a request that ring_hash and maglev go by, all
	// together; a request that has none of them goes to any endpoint.
	Hash []HashOn `yaml:"hash"`
	// Choices is how many endpoints least_request draws.
	Choices int `yaml:"choices" default:"2" min:"2" max:"100"`
	// ActiveRequestBias is how much requests under way count for least_request
	// where weights differ: the weight is divided by one more than their number,
	// to this power.
	ActiveRequestBias float64 `yaml:"active_request_bias" default:"1" min:"0" max:"10"`
	// MinRingSize is the least number of entries in the ring of ring_hash.
	MinRingSize int `yaml:"min_ring_size" default:"1024" min:"1" max:"8388608"`
	// MaxRingSize is the largest number of entries in the ring of ring_hash.
	MaxRingSize int `yaml:"max_ring_size" default:"8388608" min:"1" max:"8388608"`
	// TableSize is the size of maglev's table, a prime number well above the
	// number of endpoints.
	TableSize int `yaml:"table_size" default:"65537" min:"2" max:"5000011"`
	// BoundedLoad makes ring_hash and maglev pass endpoints over that have more
	// than so many times the average of requests under way, such as 1.25; 0 is
	// never.
	BoundedLoad float64 `yaml:"bounded_load" default:"0" min:"0" max:"100"`
	// Decay is how fast peak_ewma forgets a slow answer.
	Decay time.Duration `yaml:"decay" default:"10s" min:"1ms"`
	// DefaultRTT is what peak_ewma expects of an endpoint that it knows nothing
	// of.
	DefaultRTT time.Duration `yaml:"default_rtt" default:"30ms" min:"1us"`
	// PanicThreshold is the share of healthy endpoints, in per cent, below which
	// all are used whatever their health checks and ejections say (a panic); 0 is
	// never. What the source itself says is down is not used then either.
	PanicThreshold float64 `yaml:"panic_threshold" default:"50" min:"0" max:"100"`
	// Overprovisioning is by how much a priority's or zone's healthy endpoints
	// are taken to be more than enough: with 1.4 other priorities or zones take
	// over a part of the requests when fewer than 1/1.4 of them (71 %) are
	// healthy.
	Overprovisioning float64 `yaml:"overprovisioning" default:"1.4" min:"1" max:"100"`
	// ZoneAware keeps requests within this proxy's zone as far as its endpoints
	// suffice; locality.zone at the top level must be set.
	ZoneAware bool `yaml:"zone_aware" default:"false"`
	// MinZoneEndpoints is how many endpoints a cluster must have for ZoneAware.
	MinZoneEndpoints int `yaml:"min_zone_endpoints" default:"6" min:"1"`
	// SlowStart gives new and returning endpoints few requests at first.
	SlowStart *SlowStart `yaml:"slow_start"`
	// Subsets lets routes choose endpoints by their metadata.
	Subsets *Subsets `yaml:"subsets"`
}

// HashOn is a part of a request that its endpoint is chosen by: one of "header",
// "cookie", "query", "source" and "path".
type HashOn struct {
	// Header is the name of a header field.
	Header string `yaml:"header" format:"field"`
	// Cookie is the name of a cookie. A response to a request without it sets
	// it, so that the client comes back to the same endpoint.
	Cookie string `yaml:"cookie" format:"cookie"`
	// CookieTTL is how long a cookie lives that is set; 0 is for the client's
	// session.
	CookieTTL time.Duration `yaml:"cookie_ttl" default:"0s" min:"0"`
	// CookiePath is the path of a cookie that is set.
	CookiePath string `yaml:"cookie_path" default:"/" format:"path"`
	// Query is the name of a parameter in the query.
	Query string `yaml:"query"`
	// Source takes the client's address.
	Source bool `yaml:"source" default:"false"`
	// Path takes the request's path, without its query.
	Path bool `yaml:"path" default:"false"`
	// Terminal leaves the rest of the list out where the request has this part.
	Terminal bool `yaml:"terminal" default:"false"`
}

// SlowStart gives new and returning endpoints few requests at first.
type SlowStart struct {
	// Window is how long it takes until an endpoint has its whole share.
	Window time.Duration `yaml:"window" default:"30s" min:"1ms"`
	// Aggression is how fast the share grows: with 1 evenly, with more faster
	// at first.
	Aggression float64 `yaml:"aggression" default:"1" min:"0.01" max:"100"`
	// MinPercent is the share at the beginning, in per cent.
	MinPercent float64 `yaml:"min_percent" default:"10" min:"1" max:"100"`
}

// Subsets lets routes choose endpoints by their metadata.
type Subsets struct {
	// Selectors list the metadata keys by which subsets are made. A route's
	// "subset" has the keys of one of them and no other.
	Selectors []Selector `yaml:"selectors" required:"true"`
	// Fallback is where requests go whose subset has no endpoint: "any"
	// endpoint, "none" (503), or the "default" subset.
	Fallback string `yaml:"fallback" default:"any" enum:"any,none,default"`
	// Default is the metadata of the default subset, such as {version: v1}.
	Default map[string]string `yaml:"default"`
}

// Selector makes a subset of the endpoints that have the same values for some
// keys.
type Selector struct {
	// Keys are the metadata keys, such as [version, stage].
	Keys []string `yaml:"keys" required:"true"`
}

// Retry sends requests again that failed.
type Retry struct {
	// On lists what is retried, in Envoy's words: "5xx" (any answer of 500 and
	// above, and no answer, but for the route's timeout), "gateway-error" (502,
	// 503, 504), "reset" (no answer), "connect-failure" (nothing was sent),
	// "refused-stream" (of HTTP/2), "retriable-4xx" (409),
	// "retriable-status-codes" (those of "statuses"), "retriable-headers" (an
	// answer with one of "headers"); and of gRPC calls "cancelled", "deadline-exceeded",
	// "internal", "resource-exhausted", "unavailable", from response headers.
	// It may be left out where Attempts is 1, which turns retries off.
	On []string `yaml:"on" enum:"5xx,gateway-error,reset,connect-failure,refused-stream,retriable-4xx,retriable-status-codes,retriable-headers,cancelled,deadline-exceeded,internal,resource-exhausted,unavailable"`
	// Statuses are those of "retriable-status-codes", such as [429].
	Statuses []int `yaml:"statuses" min:"100" max:"999"`
	// Headers are the response fields of "retriable-headers".
	Headers []string `yaml:"headers" format:"field"`
	// Attempts is how often a request is sent at most, with the first time. 1 turns
	// retries off, for a route whose cluster has them.
	Attempts int `yaml:"attempts" default:"2" min:"1" max:"100"`
	// PerTryTimeout is the time for each attempt until its response begins; 0 is
	// none but the route's timeout, which is for all attempts together.
	PerTryTimeout time.Duration `yaml:"per_try_timeout" default:"0s" min:"0"`
	// Backoff is the time before a retry.
	Backoff RetryBackoff `yaml:"backoff"`
	// Budget limits retries by the number of requests under way. It takes the place of the
	// circuit breaker's MaxRetries.
	Budget *RetryBudget `yaml:"budget"`
	// MaxBody is how many bytes of a request's content are kept for a retry, at least
	// 16384. A request with more is not retried once the rest of it has been read.
	MaxBody int `yaml:"max_body" default:"65536" min:"0" max:"16777216"`
}

// RetryBackoff is the time before a retry: for the N-th, a random part of
// (2^N - 1) times the base, and at most the max.
type RetryBackoff struct {
	// Base is the longest wait before the first retry.
	Base time.Duration `yaml:"base" default:"25ms" min:"1ms"`
	// Max is the longest wait before any.
	Max time.Duration `yaml:"max" default:"250ms" min:"1ms"`
}

// RetryBudget bounds retries by the requests under way.
type RetryBudget struct {
	// Percent is how many retries there may be for 100 requests that are under
	// way or waiting.
	Percent float64 `yaml:"percent" default:"20" min:"0" max:"100"`
	// Min is how many retries there may be at once in any case.
	Min int `yaml:"min" default:"3" min:"0"`
}

// Hedge sends a request to another endpoint as well if its response takes long to
// begin. The first answer is the response. Upgrades are not hedged, nor requests whose
// content could not be kept whole.
type Hedge struct {
	// After is how long a response may take to begin before the request is sent once more.
	After time.Duration `yaml:"after" required:"true" min:"1ms"`
	// Attempts is how often a request is sent at most, the first time included;
	// 1 is no hedging, for a route whose cluster has it.
	Attempts int `yaml:"attempts" default:"2" min:"1" max:"10"`
}

// Outlier takes out endpoints that fail more than the others. Formulas and defaults are
// Envoy's.
type Outlier struct {
	// Consecutive5xx is how many answers of 500 and above in a row take an
	// endpoint out; 0 is never. Connections that fail count as well, but for
	// split_local_origin.
	Consecutive5xx int `yaml:"consecutive_5xx" default:"5" min:"0"`
	// ConsecutiveGateway is the same for 502, 503, 504 and failed connections
	// alone.
	ConsecutiveGateway int `yaml:"consecutive_gateway" default:"0" min:"0"`
	// ConsecutiveLocalOrigin is the same for connections that fail, time out or
	// are reset; it counts with SplitLocalOrigin alone.
	ConsecutiveLocalOrigin int `yaml:"consecutive_local_origin" default:"5" min:"0"`
	// SplitLocalOrigin counts failures of connections apart from answers.
	SplitLocalOrigin bool `yaml:"split_local_origin" default:"false"`
	// Interval is how often endpoints are looked at, and the window of rates.
	Interval time.Duration `yaml:"interval" default:"10s" min:"10ms"`
	// BaseEjection is how long an endpoint is out the first time; the second time
	// it is twice as long, and so on.
	BaseEjection time.Duration `yaml:"base_ejection" default:"30s" min:"1ms"`
	// MaxEjection is the longest time that an endpoint is out.
	MaxEjection time.Duration `yaml:"max_ejection" default:"300s" min:"1ms"`
	// MaxEjectedPercent is how many of the endpoints may be out at once, in per
	// cent; one may be in any case.
	MaxEjectedPercent int `yaml:"max_ejected_percent" default:"10" min:"0" max:"100"`
	// SuccessRate takes endpoints out whose rate of success is far below the
	// others'.
	SuccessRate OutlierSuccessRate `yaml:"success_rate"`
	// FailurePercentage takes endpoints out of whose requests too many fail.
	FailurePercentage OutlierFailurePercentage `yaml:"failure_percentage"`
}

// OutlierSuccessRate takes endpoints out whose rate of success is below the mean
// by more than StdevFactor standard deviations.
type OutlierSuccessRate struct {
	// Enabled turns it on.
	Enabled bool `yaml:"enabled" default:"true"`
	// MinEndpoints is how many endpoints must have MinRequests.
	MinEndpoints int `yaml:"min_endpoints" default:"5" min:"1"`
	// MinRequests is how many requests an endpoint must have had in the window.
	MinRequests int `yaml:"min_requests" default:"100" min:"1"`
	// StdevFactor is by how many standard deviations: the lower, the sooner.
	StdevFactor float64 `yaml:"stdev_factor" default:"1.9" min:"0" max:"100"`
}

// OutlierFailurePercentage takes endpoints out of whose requests too many fail.
type OutlierFailurePercentage struct {
	// Enabled turns it on.
	Enabled bool `yaml:"enabled" default:"false"`
	// Threshold is the share of failures, in per cent, that takes an endpoint
	// out.
	Threshold int `yaml:"threshold" default:"85" min:"1" max:"100"`
	// MinEndpoints is how many endpoints must have MinRequests.
	MinEndpoints int `yaml:"min_endpoints" default:"5" min:"1"`
	// MinRequests is how many requests an endpoint must have had in the window.
	MinRequests int `yaml:"min_requests" default:"50" min:"1"`
}

// HealthCheck asks endpoints whether they are healthy: by one of "http", "tcp" and
// "grpc".
type HealthCheck struct {
	// HTTP asks by a request.
	HTTP *HTTPCheck `yaml:"http"`
	// TCP asks by a connection.
	TCP *TCPCheck `yaml:"tcp"`
	// GRPC asks by grpc.health.v1.
	GRPC *GRPCCheck `yaml:"grpc"`
	// Port is asked in place of the endpoint's own; 0 is its own.
	Port int `yaml:"port" default:"0" min:"0" max:"65535"`
	// Interval is the time from one check to the next.
	Interval time.Duration `yaml:"interval" default:"5s" min:"10ms"`
	// Timeout is the time for an answer.
	Timeout time.Duration `yaml:"timeout" default:"1s" min:"1ms"`
	// UnhealthyThreshold is how many checks in a row must fail until an endpoint
	// is unhealthy. An HTTP status that is not expected makes it so at once, and
	// so does the first check of all.
	UnhealthyThreshold int `yaml:"unhealthy_threshold" default:"3" min:"1"`
	// HealthyThreshold is how many must pass until an endpoint is healthy again.
	HealthyThreshold int `yaml:"healthy_threshold" default:"2" min:"1"`
	// NoTrafficInterval is the time from one check to the next in a cluster that
	// had no request yet.
	NoTrafficInterval time.Duration `yaml:"no_traffic_interval" default:"60s" min:"10ms"`
}

// HTTPCheck asks by a request.
type HTTPCheck struct {
	// Path is the request's path, with its query if it has one, such as
	// /health?full=1.
	Path string `yaml:"path" required:"true" format:"target"`
	// Method is its method.
	Method string `yaml:"method" default:"GET" format:"method"`
	// Host is its Host field; without one it is the endpoint's address.
	Host string `yaml:"host" format:"authority"`
	// Headers are further header fields; the values are secrets.
	Headers map[string]string `yaml:"headers" secret:"true"`
	// Statuses are the statuses of a healthy endpoint, single ones and ranges, such as
	// [200-299, 404].
	Statuses []string `yaml:"statuses" default:"200" format:"statuses"`
	// Body is text that must be within the first KiB of the answer.
	Body string `yaml:"body"`
}

// TCPCheck opens a connection. {} only opens it.
type TCPCheck struct {
	// Send is text that is sent; without it nothing is.
	Send string `yaml:"send"`
	// Receive is text that must come back; without it nothing need.
	Receive string `yaml:"receive"`
}

// GRPCCheck asks by grpc.health.v1.
type GRPCCheck struct {
	// Service is the name that is asked for; without one it is the server as a
	// whole.
	Service string `yaml:"service"`
	// Authority is the call's :authority; without one it is the endpoint's
	// address.
	Authority string `yaml:"authority" format:"authority"`
}
