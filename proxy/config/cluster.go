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
	// Consul takes the endpoints from Consul's catalog, and follows its changes.
	Consul *Consul `yaml:"consul"`
	// DNS takes the endpoints from the addresses of a name, and keeps looking it up.
	DNS *DNS `yaml:"dns"`
	// File takes the endpoints from a file, and watches it.
	File *EndpointFile `yaml:"file"`
	// PeerService is the name of the service behind the cluster, as it calls itself: the one
	// that is said to be at fault when it fails. The default is the service's name in
	// Consul, or else what its own proxy calls it, or else, of the only cluster and of
	// clusters on this machine, the proxy's own "service" for a listener of the direction
	// "inbound", and the cluster's name for others.
	PeerService string `yaml:"peer_service"`
	// Balance chooses the endpoint of each request.
	Balance Balance `yaml:"balance"`
	// Retry sends failed requests again, for routes without a "retry" of their own. Without
	// either, a request is sent again only if no endpoint can have seen anything of it.
	Retry *Retry `yaml:"retry"`
	// Hedge sends a slow request to a second endpoint as well, for routes without their
	// own "hedge".
	Hedge *Hedge `yaml:"hedge"`
	// CircuitBreaker limits concurrent connections, requests and retries.
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
	// TLS encrypts the connections to the endpoints; without it they are plain text.
	TLS *ClusterTLS `yaml:"tls"`
	// HTTP2 limits HTTP/2 connections.
	HTTP2 HTTP2 `yaml:"http2"`
	// ConnectTimeout is the timeout for connecting to an endpoint, TLS handshake
	// included.
	ConnectTimeout time.Duration `yaml:"connect_timeout" default:"5s" min:"1ms"`
	// IdleTimeout closes a pooled connection that has not been used for this long.
	IdleTimeout time.Duration `yaml:"idle_timeout" default:"1h" min:"1ms"`
	// LearnIdleTimeout does not use a pooled HTTP/1 connection any more when its endpoint
	// is about to close it. The proxy learns after how long an endpoint does that: at least
	// three closes, at different times, must agree, and it forgets what does not hold any
	// more. Linux only.
	LearnIdleTimeout bool `yaml:"learn_idle_timeout" default:"true"`
	// MaxIdle is how many unused connections are kept for each endpoint.
	MaxIdle int `yaml:"max_idle" default:"256" min:"0"`
	// MaxHeaderBytes is the largest response head, in bytes. All interim responses (1xx)
	// to one request together may have as many bytes, and there may be 100 of them.
	MaxHeaderBytes int `yaml:"max_header_bytes" default:"61440" min:"1024" max:"1048576"`
	// MaxHeaderFields is the largest number of fields in a response head.
	MaxHeaderFields int `yaml:"max_header_fields" default:"100" min:"1" max:"10000"`
}

// Template reports whether the cluster has no endpoints and only serves as the
// catalog.like of others.
func (c *Cluster) Template() bool {
	return len(c.Endpoints) == 0 && len(c.Static) == 0 && c.Consul == nil && c.DNS == nil && c.File == nil
}

// ClusterTLS encrypts the connections to a cluster's endpoints. Files are in PEM. Their
// paths are relative to the directory that the proxy is started in. The proxy reads them
// again when they change.
type ClusterTLS struct {
	// CA is the file of the authorities that sign the endpoints' certificates; the
	// default is the system's authorities.
	CA string `yaml:"ca" format:"file"`
	// SNI is the name to ask endpoints for, and that their certificates must have. The
	// default is the endpoint's host.
	SNI string `yaml:"sni" format:"hostname"`
	// Cert is the file of the certificate that the proxy shows to endpoints that ask for
	// one, followed by its intermediate certificates.
	Cert string `yaml:"cert" format:"file"`
	// Key is the file of the certificate's private key.
	Key string `yaml:"key" format:"file"`
	// SAN lists names; an endpoint's certificate must have one of them, instead of the
	// SNI. A name is a DNS name, where a leading "*." stands for one label, or a SPIFFE
	// id, where "/*" at the end stands for everything below.
	SAN []string `yaml:"san" format:"san"`
	// SPKI pins public keys: the endpoint's certificate, or one above it in its chain,
	// must have one of them. Each pin is the SHA-256 of the key's SubjectPublicKeyInfo,
	// in base64.
	SPKI []string `yaml:"spki" format:"spki"`
	// CRL is the file of the authorities' revocation lists, in PEM or DER.
	CRL string `yaml:"crl" format:"file"`
	// InsecureSkipVerify accepts any certificate. Pins still count. It is for trying things
	// out.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify" default:"false"`
	// MinVersion is the oldest TLS version.
	MinVersion string `yaml:"min_version" default:"1.2" enum:"1.2,1.3"`
	// MaxVersion is the newest TLS version.
	MaxVersion string `yaml:"max_version" default:"1.3" enum:"1.2,1.3"`
}

// StaticEndpoint is an endpoint that the configuration lists.
type StaticEndpoint struct {
	// Address is host and port.
	Address string `yaml:"address" required:"true" format:"address"`
	// Weight is its share of the requests, relative to the other weights.
	Weight int `yaml:"weight" default:"1" min:"1" max:"1000000"`
	// Priority is 0 for endpoints that are used first. Those of a higher number take over
	// as far as those of lower numbers fail.
	Priority int `yaml:"priority" default:"0" min:"0" max:"100"`
	// Region is the region that it runs in.
	Region string `yaml:"region"`
	// Zone is the zone that it runs in, within its region.
	Zone string `yaml:"zone"`
	// Metadata is what subsets select by, such as {version: v2}.
	Metadata map[string]string `yaml:"metadata"`
}

// Locality is where this proxy runs. zone_aware compares it with where endpoints run.
type Locality struct {
	// Region is the region, such as eu-west.
	Region string `yaml:"region"`
	// Zone is the zone within it, such as eu-west-1a.
	Zone string `yaml:"zone"`
}

// CircuitBreaker limits what a cluster carries at once.
type CircuitBreaker struct {
	Thresholds
	// High are the limits for the requests of routes with "priority: high". They have
	// connections of their own, and all that they have under way is counted apart. So they go
	// through when others have used up the cluster, and the other way round.
	High Thresholds `yaml:"high"`
}

// Thresholds are the limits for the requests of one priority.
type Thresholds struct {
	// MaxConnections is how many connections to the cluster may be open at once. Beyond
	// that, up to MaxPending more requests wait for one; all others get 503 (UO).
	MaxConnections int `yaml:"max_connections" default:"1024" min:"1"`
	// MaxPending is how many requests may wait for a connection.
	MaxPending int `yaml:"max_pending" default:"1024" min:"0"`
	// MaxRequests is how many requests may be under way. Any beyond those get 503 (UO).
	MaxRequests int `yaml:"max_requests" default:"1024" min:"1"`
	// MaxRetries is how many retries may be in flight, unless the retry policy has a
	// budget.
	MaxRetries int `yaml:"max_retries" default:"3" min:"0"`
}

// Balance chooses the endpoint of each request.
type Balance struct {
	// Policy is "round_robin" (in turn), "least_request" (draws two endpoints, or as many
	// as "choices" says, and takes the one with the fewest requests in flight), "random",
	// "ring_hash" or "maglev" (the same endpoint for the same "hash"), or "peak_ewma"
	// (draws two and takes the one with the lower expected latency). All policies respect
	// weights.
	Policy string `yaml:"policy" default:"round_robin" enum:"round_robin,least_request,random,ring_hash,maglev,peak_ewma"`
	// Hash lists the parts of a request that ring_hash and maglev hash together. A
	// request without any of them goes to a random endpoint.
	Hash []HashOn `yaml:"hash"`
	// Choices is how many endpoints least_request draws.
	Choices int `yaml:"choices" default:"2" min:"2" max:"100"`
	// ActiveRequestBias is how much requests in flight count for least_request when
	// weights differ: the weight is divided by (requests in flight + 1) to this power.
	ActiveRequestBias float64 `yaml:"active_request_bias" default:"1" min:"0" max:"10"`
	// MinRingSize is the smallest number of entries in the ring of ring_hash.
	MinRingSize int `yaml:"min_ring_size" default:"1024" min:"1" max:"8388608"`
	// MaxRingSize is the largest number of entries in the ring of ring_hash.
	MaxRingSize int `yaml:"max_ring_size" default:"8388608" min:"1" max:"8388608"`
	// TableSize is the size of maglev's table, a prime number well above the
	// number of endpoints.
	TableSize int `yaml:"table_size" default:"65537" min:"2" max:"5000011"`
	// BoundedLoad makes ring_hash and maglev skip endpoints with more than this many
	// times the average number of requests in flight, such as 1.25; 0 is never.
	BoundedLoad float64 `yaml:"bounded_load" default:"0" min:"0" max:"100"`
	// Decay is how fast peak_ewma forgets a slow answer.
	Decay time.Duration `yaml:"decay" default:"10s" min:"1ms"`
	// DefaultRTT is the latency that peak_ewma expects of an endpoint that has not
	// answered yet.
	DefaultRTT time.Duration `yaml:"default_rtt" default:"30ms" min:"1us"`
	// PanicThreshold is the share of healthy endpoints, in per cent, below which all
	// endpoints are used despite health checks and ejections (a panic); 0 is never.
	// Endpoints that their source reports as down are not used even then.
	PanicThreshold float64 `yaml:"panic_threshold" default:"50" min:"0" max:"100"`
	// Overprovisioning is how much spare capacity a priority or zone is assumed to have.
	// With 1.4, other priorities or zones take over a part of the requests when fewer
	// than 1/1.4 (71 %) of its endpoints are healthy.
	Overprovisioning float64 `yaml:"overprovisioning" default:"1.4" min:"1" max:"100"`
	// ZoneAware keeps requests within this proxy's zone as far as its endpoints can take
	// them. It needs locality.zone at the top level.
	ZoneAware bool `yaml:"zone_aware" default:"false"`
	// MinZoneEndpoints is how many endpoints a cluster must have for ZoneAware.
	MinZoneEndpoints int `yaml:"min_zone_endpoints" default:"6" min:"1"`
	// SlowStart gives new and returning endpoints few requests at first.
	SlowStart *SlowStart `yaml:"slow_start"`
	// Subsets lets routes choose endpoints by their metadata.
	Subsets *Subsets `yaml:"subsets"`
}

// HashOn is a part of a request to hash: exactly one of "header", "cookie", "query",
// "source" and "path".
type HashOn struct {
	// Header is the name of a header field.
	Header string `yaml:"header" format:"field"`
	// Cookie is the name of a cookie. If a request lacks it, the response sets it, so
	// that the client comes back to the same endpoint.
	Cookie string `yaml:"cookie" format:"cookie"`
	// CookieTTL is the lifetime of a cookie that the proxy sets; 0 makes it a session
	// cookie.
	CookieTTL time.Duration `yaml:"cookie_ttl" default:"0s" min:"0"`
	// CookiePath is the path of a cookie that the proxy sets.
	CookiePath string `yaml:"cookie_path" default:"/" format:"path"`
	// Query is the name of a query parameter.
	Query string `yaml:"query"`
	// Source uses the client's address.
	Source bool `yaml:"source" default:"false"`
	// Path uses the request's path, without its query.
	Path bool `yaml:"path" default:"false"`
	// Terminal skips the rest of the list if the request has this part.
	Terminal bool `yaml:"terminal" default:"false"`
}

// SlowStart gives new and returning endpoints few requests at first.
type SlowStart struct {
	// Window is how long it takes until an endpoint gets its full share.
	Window time.Duration `yaml:"window" default:"30s" min:"1ms"`
	// Aggression is how fast the share grows: 1 is linear, more is faster at first.
	Aggression float64 `yaml:"aggression" default:"1" min:"0.01" max:"100"`
	// MinPercent is the share at the beginning, in per cent.
	MinPercent float64 `yaml:"min_percent" default:"10" min:"1" max:"100"`
}

// Subsets lets routes choose endpoints by their metadata.
type Subsets struct {
	// Selectors list the metadata keys that make subsets. A route's "subset" must have
	// exactly the keys of one of them.
	Selectors []Selector `yaml:"selectors" required:"true"`
	// Fallback is where requests go when their subset has no endpoint: "any" endpoint,
	// "none" (503), or the "default" subset.
	Fallback string `yaml:"fallback" default:"any" enum:"any,none,default"`
	// Default is the metadata of the default subset, such as {version: v1}.
	Default map[string]string `yaml:"default"`
}

// Selector makes a subset of all endpoints with the same values for some keys.
type Selector struct {
	// Keys are the metadata keys, such as [version, stage].
	Keys []string `yaml:"keys" required:"true"`
}

// Retry repeats failed requests.
type Retry struct {
	// On lists what is retried, in Envoy's words: "5xx" (any answer of 500 and above, or
	// no answer, except for the route's timeout), "gateway-error" (502, 503, 504),
	// "reset" (no answer), "connect-failure" (nothing was sent), "refused-stream" (of
	// HTTP/2), "retriable-4xx" (409), "retriable-status-codes" (those of "statuses"),
	// "retriable-headers" (an answer with one of "headers"); and of gRPC calls
	// "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
	// from response headers. It may be left out if Attempts is 1, which turns retries
	// off.
	On []string `yaml:"on" enum:"5xx,gateway-error,reset,connect-failure,refused-stream,retriable-4xx,retriable-status-codes,retriable-headers,cancelled,deadline-exceeded,internal,resource-exhausted,unavailable"`
	// Statuses are those of "retriable-status-codes", such as [429].
	Statuses []int `yaml:"statuses" min:"100" max:"999"`
	// Headers are the response fields of "retriable-headers".
	Headers []string `yaml:"headers" format:"field"`
	// Attempts is how often a request is sent at most, with the first time. 1 turns
	// retries off, for a route whose cluster has them.
	Attempts int `yaml:"attempts" default:"2" min:"1" max:"100"`
	// PerTryTimeout is the timeout for each attempt until its response begins. 0 leaves
	// only the route's timeout, which covers all attempts together.
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

// RetryBackoff is the wait before a retry: before the N-th it is random, up to 2^N-1
// times the base and at most the max.
type RetryBackoff struct {
	// Base is the longest wait before the first retry.
	Base time.Duration `yaml:"base" default:"25ms" min:"1ms"`
	// Max is the longest wait before any retry.
	Max time.Duration `yaml:"max" default:"250ms" min:"1ms"`
}

// RetryBudget limits retries to a share of the requests in flight.
type RetryBudget struct {
	// Percent is how many retries there may be for 100 requests that are in flight or
	// waiting.
	Percent float64 `yaml:"percent" default:"20" min:"0" max:"100"`
	// Min is how many concurrent retries are always allowed.
	Min int `yaml:"min" default:"3" min:"0"`
}

// Hedge sends a request to another endpoint as well if its response takes long to
// begin. The first answer is the response. Upgrades are not hedged, nor requests whose
// content could not be kept whole.
type Hedge struct {
	// After is how long a response may take to begin before the request is sent once more.
	After time.Duration `yaml:"after" required:"true" min:"1ms"`
	// Attempts is how often a request is sent at most, the first time included. 1 turns
	// hedging off for a route when its cluster has it.
	Attempts int `yaml:"attempts" default:"2" min:"1" max:"10"`
}

// Outlier takes out endpoints that fail more than the others. Formulas and defaults are
// Envoy's.
type Outlier struct {
	// Consecutive5xx is how many answers of 500 and above in a row eject an endpoint; 0
	// is never. Failed connections count as well, unless split_local_origin is true.
	Consecutive5xx int `yaml:"consecutive_5xx" default:"5" min:"0"`
	// ConsecutiveGateway is the same for 502, 503, 504 and failed connections only.
	ConsecutiveGateway int `yaml:"consecutive_gateway" default:"0" min:"0"`
	// ConsecutiveLocalOrigin is the same for connections that fail, time out or are
	// reset. It applies only with SplitLocalOrigin.
	ConsecutiveLocalOrigin int `yaml:"consecutive_local_origin" default:"5" min:"0"`
	// SplitLocalOrigin counts failed connections separately from answers.
	SplitLocalOrigin bool `yaml:"split_local_origin" default:"false"`
	// Interval is the window of rates, and how often endpoints are judged.
	Interval time.Duration `yaml:"interval" default:"10s" min:"10ms"`
	// BaseEjection is how long the first ejection of an endpoint lasts. The second lasts
	// twice as long, and so on.
	BaseEjection time.Duration `yaml:"base_ejection" default:"30s" min:"1ms"`
	// MaxEjection is the longest ejection.
	MaxEjection time.Duration `yaml:"max_ejection" default:"300s" min:"1ms"`
	// MaxEjectedPercent is the share of endpoints that may be ejected at once, in per
	// cent. One always may be.
	MaxEjectedPercent int `yaml:"max_ejected_percent" default:"10" min:"0" max:"100"`
	// SuccessRate ejects endpoints with a success rate far below that of the others.
	SuccessRate OutlierSuccessRate `yaml:"success_rate"`
	// FailurePercentage takes endpoints out of whose requests too many fail.
	FailurePercentage OutlierFailurePercentage `yaml:"failure_percentage"`
}

// OutlierSuccessRate ejects endpoints with a success rate more than StdevFactor standard
// deviations below the mean.
type OutlierSuccessRate struct {
	// Enabled turns it on.
	Enabled bool `yaml:"enabled" default:"true"`
	// MinEndpoints is how many endpoints must have MinRequests.
	MinEndpoints int `yaml:"min_endpoints" default:"5" min:"1"`
	// MinRequests is how many requests an endpoint must have had in the window.
	MinRequests int `yaml:"min_requests" default:"100" min:"1"`
	// StdevFactor is that number of standard deviations: a lower one ejects sooner.
	StdevFactor float64 `yaml:"stdev_factor" default:"1.9" min:"0" max:"100"`
}

// OutlierFailurePercentage ejects endpoints with too large a share of failed requests.
type OutlierFailurePercentage struct {
	// Enabled turns it on.
	Enabled bool `yaml:"enabled" default:"false"`
	// Threshold is the share of failures, in per cent, that ejects an endpoint.
	Threshold int `yaml:"threshold" default:"85" min:"1" max:"100"`
	// MinEndpoints is how many endpoints must have MinRequests.
	MinEndpoints int `yaml:"min_endpoints" default:"5" min:"1"`
	// MinRequests is how many requests an endpoint must have had in the window.
	MinRequests int `yaml:"min_requests" default:"50" min:"1"`
}

// HealthCheck asks endpoints whether they are healthy: by one of "http", "tcp" and
// "grpc".
type HealthCheck struct {
	// HTTP probes with a request.
	HTTP *HTTPCheck `yaml:"http"`
	// TCP probes with a connection.
	TCP *TCPCheck `yaml:"tcp"`
	// GRPC probes with grpc.health.v1.
	GRPC *GRPCCheck `yaml:"grpc"`
	// Port is the port to probe; 0 is the endpoint's own.
	Port int `yaml:"port" default:"0" min:"0" max:"65535"`
	// Interval is the time from one check to the next.
	Interval time.Duration `yaml:"interval" default:"5s" min:"10ms"`
	// Timeout is the time for an answer.
	Timeout time.Duration `yaml:"timeout" default:"1s" min:"1ms"`
	// UnhealthyThreshold is how many checks in a row must fail until an endpoint is
	// unhealthy. An unexpected HTTP status makes it unhealthy at once, and so does a
	// failure of the very first check.
	UnhealthyThreshold int `yaml:"unhealthy_threshold" default:"3" min:"1"`
	// HealthyThreshold is how many must pass until an endpoint is healthy again.
	HealthyThreshold int `yaml:"healthy_threshold" default:"2" min:"1"`
	// NoTrafficInterval is the time from one check to the next while the cluster has had
	// no request yet.
	NoTrafficInterval time.Duration `yaml:"no_traffic_interval" default:"60s" min:"10ms"`
}

// HTTPCheck probes with a request.
type HTTPCheck struct {
	// Path is the request's path, with a query if needed, such as /health?full=1.
	Path string `yaml:"path" required:"true" format:"target"`
	// Method is the request's method.
	Method string `yaml:"method" default:"GET" format:"method"`
	// Host is the request's Host field; the default is the endpoint's address.
	Host string `yaml:"host" format:"authority"`
	// Headers are further header fields; the values are secrets.
	Headers map[string]string `yaml:"headers" secret:"true"`
	// Statuses are the statuses of a healthy endpoint, single ones and ranges, such as
	// [200-299, 404].
	Statuses []string `yaml:"statuses" default:"200" format:"statuses"`
	// Body is text that the first KiB of the answer must contain.
	Body string `yaml:"body"`
}

// TCPCheck opens a connection. {} only opens it.
type TCPCheck struct {
	// Send is text to send; without it nothing is sent.
	Send string `yaml:"send"`
	// Receive is text that must come back; without it nothing is expected.
	Receive string `yaml:"receive"`
}

// GRPCCheck probes with grpc.health.v1.
type GRPCCheck struct {
	// Service is the service to ask for; the default is the server as a whole.
	Service string `yaml:"service"`
	// Authority is the call's :authority; the default is the endpoint's address.
	Authority string `yaml:"authority" format:"authority"`
}
