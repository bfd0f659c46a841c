package config

import (
	"net/netip"
	"time"
)

// Config is one proxy's configuration.
type Config struct {
	// Service is the name of the service that this proxy stands in front of.
	// It names the hop in every view.
	Service string `yaml:"service" default:"hopscope" format:"name"`
	// Admin is the admin API.
	Admin Admin `yaml:"admin"`
	// Mesh says which other proxies this one belongs together with.
	Mesh *Mesh `yaml:"mesh"`
	// Listeners are the addresses that take requests.
	Listeners []Listener `yaml:"listeners" required:"true"`
	// RoutesFrom are files of routes, by their paths, which may have "*", "?" and "[a-z]":
	// routes/*.yaml. A file is a mapping of "routes", as they are written with a listener, and
	// "listener", the name of theirs, which may be left out if there is one alone. They are
	// tried before those that are written with the listener, file by file in the order of
	// the patterns, and of the names within one. A file that changes, comes or goes is a
	// reload.
	RoutesFrom []string `yaml:"routes_from"`
	// Clusters are groups of endpoints, by name. Routes send requests to them.
	Clusters map[string]Cluster `yaml:"clusters"`
	// Consul is the Consul agent for clusters, the catalog and the registration. A cluster
	// may have another.
	Consul Consul `yaml:"consul"`
	// Catalog says how listeners with a catalog serve its services.
	Catalog Catalog `yaml:"catalog"`
	// Discovery says what to keep of the answers of sources of endpoints.
	Discovery Discovery `yaml:"discovery"`
	// Register registers the service in a catalog.
	Register Register `yaml:"register"`
	// Locality is where this proxy runs, for routing within a zone.
	Locality Locality `yaml:"locality"`
	// Telemetry says where the views of each hop go.
	Telemetry Telemetry `yaml:"telemetry"`
	// Deadlines says how the time that is left for a request goes from hop to hop.
	Deadlines Deadlines `yaml:"deadlines"`
	// Overload protects the proxy from running out of memory.
	Overload Overload `yaml:"overload"`
	// Drain says how the proxy shuts down.
	Drain Drain `yaml:"drain"`
	// Log is the proxy's own log, not the access log.
	Log Log `yaml:"log"`
	// UpgradeSocket is the Unix socket through which hopscope run --upgrade takes over the
	// listening sockets: a path, or "@" and a name in Linux's abstract namespace. The
	// default is made of the user and the admin address; there is none if the admin API
	// is off or on port 0.
	UpgradeSocket string `yaml:"upgrade_socket" format:"socket"`
	// HugePages moves hopscope's own code to pages of 2 MiB as it starts, on Linux with
	// x86-64. Measure before you set it: what is a gain on one machine may be a loss on
	// another, and on a virtual machine with an AMD EPYC a request took 5 to 8 % more of the
	// processor's time. It costs 12 MiB of memory, which processes of the same program do not
	// share. perf and eBPF find no symbols in code that was moved; pprof does. If the kernel
	// has no transparent huge pages, or forbids to make memory executable, as systemd's
	// MemoryDenyWriteExecute does, the code stays where it is, and the log says so.
	HugePages bool `yaml:"huge_pages" default:"false"`
}

// Listener is an address that takes requests, and says what is done with them.
type Listener struct {
	ListenerSocket
	ListenerHTTP
}

// ListenerSocket is where a listener's connections come in, and how they are read. A
// reload that does not change it keeps the socket and its connections.
type ListenerSocket struct {
	// Name names the listener in logs, metrics and the admin API. No two
	// listeners have the same.
	Name string `yaml:"name" required:"true" format:"name"`
	// Address is the host and port to listen on. Port 0 takes a free one; no host is every
	// interface. On Linux, a reload or an upgrade may change it to an address that
	// includes the old one or is within it (127.0.0.1 and 0.0.0.0, the same port). No
	// connection is refused then, but one that is opened at that moment may take a second
	// longer.
	Address string `yaml:"address" required:"true" format:"listen"`
	// TLS encrypts the listener's connections; without it they are plain text.
	TLS *ListenerTLS `yaml:"tls"`
	// HTTP2 limits HTTP/2 connections: those that agree on h2 by ALPN, and those without
	// TLS that begin with the HTTP/2 preface (h2c).
	HTTP2 HTTP2 `yaml:"http2"`
	// RequestHeadTimeout is the time that a client has to send a whole head. It begins
	// with the first byte, for the first request with the connection.
	RequestHeadTimeout time.Duration `yaml:"request_head_timeout" default:"10s" min:"1ms"`
	// IdleTimeout closes a connection that waits for its next request.
	IdleTimeout time.Duration `yaml:"idle_timeout" default:"1h" min:"1ms"`
	// StreamIdleTimeout ends a request or a tunnel when no byte has moved for this long.
	StreamIdleTimeout time.Duration `yaml:"stream_idle_timeout" default:"5m" min:"1ms"`
	// AbortOnClose says when hopscope gives up a request because an HTTP/1 client closed
	// its side of the connection. "late": if that was more than 100 ms after the request;
	// a client that closes sooner has only sent all that it had to send, as nc does at the
	// end of its input. "always": at once, as nginx does, and HAProxy with abortonclose.
	// "never": only if the client resets the connection. Over TLS a close_notify closes a
	// side, too. A reset always counts, and so does the end of an HTTP/2 connection.
	AbortOnClose string `yaml:"abort_on_close" default:"late" enum:"late,always,never"`
	// MaxConnectionAge is how long a connection may be open, give or take a tenth; 0 is
	// for ever. Then the next response over HTTP/1 says that it is the last, and the
	// connection is closed if no request comes within 5 s; over HTTP/2 a GOAWAY says so at
	// once. Requests and tunnels go on. If the files of client_ca or crl change, and a
	// client's certificate is no longer trusted, its connection ends in the same way, and
	// is cut 10 s later.
	MaxConnectionAge time.Duration `yaml:"max_connection_age" default:"0s" min:"0"`
	// MaxConnectionAgeGrace is how long requests and tunnels may go on after that. Then the
	// connection is cut. 0 is for ever.
	MaxConnectionAgeGrace time.Duration `yaml:"max_connection_age_grace" default:"0s" min:"0"`
	// MaxConnections is how many connections may be open at once. If one more comes, the
	// one that has been idle for longest is closed; if none is idle, the new one waits. All
	// listeners together have half of what the limit on open files (ulimit -n) leaves, or
	// more if their max_connections ask for more. 0 is no other limit than that.
	MaxConnections int `yaml:"max_connections" default:"0" min:"0"`
	// MaxHeaderBytes is the largest request head, in bytes, with its target. A larger one
	// is answered with 431, or with 414 if the target alone is too large.
	MaxHeaderBytes int `yaml:"max_header_bytes" default:"61440" min:"1024" max:"1048576"`
	// MaxHeaderFields is the largest number of fields in a head.
	MaxHeaderFields int `yaml:"max_header_fields" default:"100" min:"1" max:"10000"`
}

// ListenerHTTP is what is done with a listener's requests. A reload that changes it
// keeps connections: their next requests go by the new settings.
type ListenerHTTP struct {
	// Direction is "inbound" for requests to the service and "outbound" for
	// requests that the service makes.
	Direction string `yaml:"direction" default:"inbound" enum:"inbound,outbound"`
	// Path says in which form the paths of requests are matched and sent on.
	Path Path `yaml:"path"`
	// Routes are tried in order; the first match wins.
	Routes []Route `yaml:"routes"`
	// Catalog serves every service of a catalog, after the routes. "consul" is Consul's:
	// services are found by the request's host and by their tags. The top level's
	// "catalog" says how.
	Catalog string `yaml:"catalog" default:"none" enum:"none,consul"`
	// TrustedCallers are the networks of clients whose x-envoy- fields are believed.
	// From all other clients every such field is removed, but for how long the client
	// waits: see "deadlines". A client is trusted only if all
	// addresses in X-Forwarded-For, X-Real-IP and Forwarded are in these networks too: a
	// TLS terminator on the same host lends no trust to strangers.
	// x-envoy-upstream-rq-timeout-ms, x-envoy-upstream-rq-per-try-timeout-ms and
	// x-envoy-max-retries may ask for less than the route has, never for more.
	// x-envoy-retry-on and x-envoy-retry-grpc-on count if neither the route nor its cluster
	// has "retry": for 2 attempts, or up to 3 with x-envoy-max-retries.
	TrustedCallers []netip.Prefix `yaml:"trusted_callers" default:"127.0.0.0/8,::1/128"`
	// ForwardProxy makes this a forward proxy: after the routes, requests in absolute
	// form and CONNECT go to the destination that they name.
	ForwardProxy *ForwardProxy `yaml:"forward_proxy"`
	// GRPCWeb translates gRPC-Web, binary and text, to gRPC.
	GRPCWeb bool `yaml:"grpc_web" default:"true"`
	// Forwarded says what the endpoint is told about the client.
	Forwarded Forwarded `yaml:"forwarded"`
	// ForwardClientCert is what happens to X-Forwarded-Client-Cert in requests, in Envoy's
	// words. "sanitize" removes the field, "sanitize_set" sets it from the client's
	// certificate, "append_forward" adds the client's certificate to it, "forward_only"
	// leaves it as it is. All of these remove it if the client has no verified certificate.
	// "always_forward_only" leaves it as it is, from every client.
	ForwardClientCert string `yaml:"forward_client_cert" default:"sanitize" enum:"sanitize,sanitize_set,append_forward,forward_only,always_forward_only"`
	// Via appends to the Via field of requests and responses (RFC 9110
	// section 7.6.3).
	Via bool `yaml:"via" default:"true"`
	// ProxyStatus is what happens to Proxy-Status in responses: "append" adds
	// this hop's member, "pass" leaves the field as it came, "cut" removes it,
	// for a listener that faces the public.
	ProxyStatus string `yaml:"proxy_status" default:"append" enum:"append,pass,cut"`
	// ServerTiming is the same for Server-Timing.
	ServerTiming string `yaml:"server_timing" default:"pass" enum:"append,pass,cut"`
	// ErrorPages are the pages that a browser gets where the proxy itself answers with an
	// error. The first page for the status is taken. Other clients get a problem document
	// (RFC 9457) if they accept JSON, and a short text else: see docs/errors.md.
	ErrorPages []ErrorPage `yaml:"error_pages"`
	// TraceLink is the URL of a trace's page in Jaeger, or whatever shows traces, with
	// %TRACE_ID% for the id, such as http://127.0.0.1:16686/trace/%TRACE_ID%. Errors that
	// the proxy itself answers with have it. It needs proxy_status "append".
	TraceLink string `yaml:"trace_link" format:"trace link"`
}

// ErrorPage is a page for errors that the proxy itself answers with.
type ErrorPage struct {
	// Statuses are the statuses that the page is for, such as 404 or 500-599. Without any
	// it is for all errors: 400-599.
	Statuses []string `yaml:"statuses" format:"statuses"`
	// File is the page, in HTML, of at most 64 KiB. These are replaced: %STATUS%, %TITLE%
	// (the status in words), %REQUEST_ID%, %TRACE_ID%; and with proxy_status "append" also
	// %DETAIL%, %FAILED_HOP%, %KIND%, %FLAGS%, %SERVICE% and %TRACE_LINK%. The file is read
	// at the start and at each reload.
	File string `yaml:"file" required:"true" format:"file"`
}

// ListenerTLS encrypts a listener's connections. Files are in PEM. Their paths are
// relative to the directory that the proxy is started in. The proxy reads them again when
// they change.
type ListenerTLS struct {
	// Certificates are chosen by the name that the client asks for (SNI): first an exact
	// match, then a wildcard, then the first of the list.
	Certificates []Certificate `yaml:"certificates" required:"true"`
	// ClientAuth says whether clients show a certificate: "none" does not ask for one,
	// "request" also accepts clients without one, "require" refuses them.
	ClientAuth string `yaml:"client_auth" default:"none" enum:"none,request,require"`
	// ClientCA is the file of the authorities that sign the clients' certificates.
	// ClientAuth "request" and "require" need it.
	ClientCA string `yaml:"client_ca" format:"file"`
	// ClientSAN lists which clients are let in, by the names in their certificates: DNS
	// names, where a leading "*." stands for one label, and SPIFFE ids, where "/*" at the
	// end stands for all below. Without any, all clients with a certificate of the
	// authorities are let in.
	ClientSAN []string `yaml:"client_san" format:"san"`
	// CRL is the file of the authorities' revocation lists, in PEM or DER.
	CRL string `yaml:"crl" format:"file"`
	// MinVersion is the oldest TLS version.
	MinVersion string `yaml:"min_version" default:"1.2" enum:"1.2,1.3"`
	// MaxVersion is the newest TLS version.
	MaxVersion string `yaml:"max_version" default:"1.3" enum:"1.2,1.3"`
	// ALPN lists the protocols that clients may choose, the best first.
	ALPN []string `yaml:"alpn" default:"h2,http/1.1" enum:"h2,http/1.1"`
	// SessionTickets lets returning clients resume their sessions, which saves both sides
	// most of a handshake.
	SessionTickets bool `yaml:"session_tickets" default:"true"`
	// HandshakeTimeout is the timeout for the TLS handshake.
	HandshakeTimeout time.Duration `yaml:"handshake_timeout" default:"10s" min:"1ms"`
}

// Certificate is a certificate and its key.
type Certificate struct {
	// Cert is the file of the certificate, followed by its intermediate certificates.
	Cert string `yaml:"cert" required:"true" format:"file"`
	// Key is the file of the certificate's private key.
	Key string `yaml:"key" required:"true" format:"file"`
}

// HTTP2 limits HTTP/2 connections. A peer that exceeds MaxResets or MaxControlFrames
// loses its connection (ENHANCE_YOUR_CALM).
type HTTP2 struct {
	// MaxConcurrentStreams is how many requests one connection carries at once.
	MaxConcurrentStreams int `yaml:"max_concurrent_streams" default:"100" min:"1" max:"1000000"`
	// StreamWindow is how many bytes of content a peer may send on a stream before they
	// are read.
	StreamWindow int `yaml:"stream_window" default:"65536" min:"65535" max:"16777216"`
	// KeepAlive sends a PING when no byte has come for this long; 0 is never.
	KeepAlive time.Duration `yaml:"keep_alive" default:"0s" min:"0"`
	// KeepAliveTimeout closes a connection whose PING is not answered for this long.
	KeepAliveTimeout time.Duration `yaml:"keep_alive_timeout" default:"20s" min:"1ms"`
	// MaxResets is how many streams a peer may open and reset at once within 10 s (rapid
	// reset).
	MaxResets int `yaml:"max_resets" default:"200" min:"1"`
	// MaxControlFrames is how many frames without content a peer may send within 10 s:
	// SETTINGS, PING, PRIORITY, RST_STREAM, empty DATA and others.
	MaxControlFrames int `yaml:"max_control_frames" default:"2000" min:"1"`
}

// ForwardProxy opens a listener to what the service calls. Hopscope connects to the
// address that it has checked. Loopback, link-local (such as metadata services),
// unspecified and multicast addresses can be reached only if allow has their network,
// such as 127.0.0.0/8, whatever name leads there. Loopback clients may also ask for
// localhost, or for a loopback address by itself. The proxy's own admin API can't be
// reached.
type ForwardProxy struct {
	// Allow lists who may reach what. A request that no entry allows gets 403. Without
	// entries, loopback clients may reach every destination.
	Allow []ForwardAllow `yaml:"allow"`
	// Deny lists destinations that nobody may reach, written as in allow, which it comes
	// before. A network covers every name that leads into it.
	Deny []string `yaml:"deny" format:"destination"`
	// ConnectTimeout is the timeout for connecting to the destination.
	ConnectTimeout time.Duration `yaml:"connect_timeout" default:"5s" min:"1ms"`
	// Timeout is the time for a whole response, from the end of the request;
	// 0 is none.
	Timeout time.Duration `yaml:"timeout" default:"15s" min:"0"`
}

// ForwardAllow lets clients reach destinations.
type ForwardAllow struct {
	// Clients are the networks of the clients.
	Clients []netip.Prefix `yaml:"clients" required:"true"`
	// Destinations are the hosts that they may reach: a name, a name with a leading "*."
	// for everything below it, a network, an IP address, or "*" for all. Append ":port"
	// to allow only that port.
	Destinations []string `yaml:"destinations" required:"true" format:"destination"`
}

// Forwarded says what the endpoint is told about the client.
type Forwarded struct {
	// TrustedProxies is how many proxies in front of this one are trusted to write
	// X-Forwarded-For and X-Forwarded-Proto. The client's address is the entry that the
	// first of them wrote. With 0 the client is whoever opened the connection, and these
	// fields are not believed.
	TrustedProxies int `yaml:"trusted_proxies" default:"0" min:"0" max:"100"`
	// XForwarded is what happens to X-Forwarded-For and X-Forwarded-Proto: "append" adds
	// the peer's address and sets the scheme, "replace" starts a new list, "pass" leaves
	// the fields as they came, "cut" removes them.
	XForwarded string `yaml:"x_forwarded" default:"append" enum:"append,replace,pass,cut"`
	// RFC7239 is the same for the Forwarded field.
	RFC7239 string `yaml:"rfc7239" default:"pass" enum:"append,replace,pass,cut"`
}

// Route sends matching requests to a cluster, or to one of several, or answers them. It has
// one of "cluster", "split", "cluster_header", "redirect" and "answer".
type Route struct {
	// Name names the route in metrics and spans. The default is the path of its match, its
	// template or its prefix, or "default".
	Name string `yaml:"name" format:"name"`
	// Match is what a request must match; without it every request matches.
	Match Match `yaml:"match"`
	// Cluster is the cluster that requests go to.
	Cluster string `yaml:"cluster" ref:"clusters"`
	// Split divides the requests among several clusters.
	Split []SplitTarget `yaml:"split"`
	// Sticky keeps a client at one target of the split.
	Sticky *Sticky `yaml:"sticky"`
	// Guard takes the canary of the split back if it is worse than the other targets.
	Guard *Guard `yaml:"guard"`
	// ClusterHeader is a field of the request that names its cluster, such as x-cluster. A
	// request without it, or with a name that is not allowed, is answered with 503 (NC).
	ClusterHeader string `yaml:"cluster_header" format:"field"`
	// AllowClusters are the clusters that cluster_header may name.
	AllowClusters []string `yaml:"allow_clusters" ref:"clusters"`
	// Redirect sends clients to another URL.
	Redirect *Redirect `yaml:"redirect"`
	// Answer is a response of the proxy's own.
	Answer *Answer `yaml:"answer"`
	// Rewrite changes the path and the host that the endpoint is asked for.
	Rewrite *Rewrite `yaml:"rewrite"`
	// InternalRedirects has the proxy follow redirects of endpoints itself.
	InternalRedirects *InternalRedirects `yaml:"internal_redirects"`
	// RequestHeaders change the fields of requests before they are sent on, and before the
	// path is rewritten.
	RequestHeaders *HeaderChanges `yaml:"request_headers"`
	// ResponseHeaders change the fields of all responses of the route, the proxy's own errors
	// and redirects too.
	ResponseHeaders *HeaderChanges `yaml:"response_headers"`
	// Mirror sends copies of the requests to other clusters.
	Mirror []Mirror `yaml:"mirror"`
	// Timeout is the time for a whole response, from the end of the request;
	// 0 is none.
	Timeout time.Duration `yaml:"timeout" default:"15s" min:"0"`
	// IdleTimeout ends a request or a tunnel of the route when no byte has moved for this
	// long; 0 is the listener's stream_idle_timeout.
	IdleTimeout time.Duration `yaml:"idle_timeout" default:"0s" min:"0"`
	// Priority says which limits of its cluster count for the route's requests: "default" or
	// "high", whose are in circuit_breaker.high. A route of high priority is for requests
	// that are to go through when others have used up the cluster. Copies (mirror) have the
	// default.
	Priority string `yaml:"priority" default:"default" enum:"default,high"`
	// Retry repeats failed requests; the default is the cluster's.
	Retry *Retry `yaml:"retry"`
	// Hedge sends a slow request to a second endpoint as well; the default is the
	// cluster's.
	Hedge *Hedge `yaml:"hedge"`
	// Subset is the metadata that endpoints must have, such as {version: v2}. Its keys
	// must be those of a selector in the cluster's balance.subsets.
	Subset map[string]string `yaml:"subset"`
	// StatefulSession keeps a client at the endpoint that it was first sent to.
	StatefulSession *StatefulSession `yaml:"stateful_session"`
	// Host is the Host field that the endpoint sees: a name, or "endpoint" for the
	// endpoint's own address. The default is the client's.
	Host string `yaml:"host" format:"authority"`
	// SlowThreshold is the duration from which a request counts as slow, and
	// is kept and exported whatever the sampling; 0 is the telemetry's.
	SlowThreshold time.Duration `yaml:"slow_threshold" default:"0s" min:"0"`
	// Traces says which of the traces that begin with its requests are exported; the
	// default is the telemetry's.
	Traces *RouteTraces `yaml:"traces"`
	RoutePolicies
}

// Telemetry says where the views of each hop go.
type Telemetry struct {
	// Traces are the spans.
	Traces Traces `yaml:"traces"`
	// ResourceAttributes are attributes of OpenTelemetry's resource that say where this
	// process runs, such as deployment.environment.name, for all that is exported over
	// OTLP; Zipkin gets them as tags. service.name is the service of the top level.
	ResourceAttributes map[string]string `yaml:"resource_attributes"`
	// AccessLog has a line for each hop.
	AccessLog AccessLog `yaml:"access_log"`
	// Metrics is the Prometheus endpoint of the admin API.
	Metrics Metrics `yaml:"metrics"`
	// SlowThreshold is the duration from which a request counts as slow, and
	// is kept and exported whatever the sampling; 0 is never.
	SlowThreshold time.Duration `yaml:"slow_threshold" default:"1s" min:"0"`
	// LearnRoutes names the requests of routes that have neither a name nor a path of
	// their own after templates that are learned from their paths, such as /product/{id}:
	// at most 100 for each service, and "other" beyond. Without it they have the route's
	// prefix for a name.
	LearnRoutes bool `yaml:"learn_routes" default:"true"`
	// Store keeps recent hops for the admin API.
	Store Store `yaml:"store"`
}

// Metrics is the Prometheus endpoint.
type Metrics struct {
	// NativeHistograms adds Prometheus native histograms to the classic
	// buckets.
	NativeHistograms bool `yaml:"native_histograms" default:"true"`
}

// Store keeps recent hops for the admin API.
type Store struct {
	// MaxBytes is how much memory the store may take, in bytes. Half of it is reserved
	// for failed and slow hops. 0 turns the store off.
	MaxBytes int `yaml:"max_bytes" default:"16777216" min:"0"`
}

// Deadlines says how the time that is left for a request goes from hop to hop. Each hop
// tells the next how long it waits, in x-envoy-expected-rq-timeout-ms and, for gRPC calls,
// in grpc-timeout, and gives up a little before its own caller does. So the hop that is
// nearest to a failure answers first, and says what failed. What a caller tells only ever
// shortens the timeout of a route, x-envoy-expected-rq-timeout-ms only until the response
// begins. If a client sets a short time and is not one of the listener's trusted_callers,
// endpoints that exceed it are not ejected.
type Deadlines struct {
	// Enabled hands deadlines on. Without it, only the grpc-timeout of a caller is kept
	// to, to its end, and handed on.
	Enabled bool `yaml:"enabled" default:"true"`
	// MarginPercent is the share of the caller's time that a hop keeps back, in per cent.
	MarginPercent float64 `yaml:"margin_percent" default:"5" min:"0" max:"50"`
	// MarginMin is the least that a hop keeps back, but never more than half of the time.
	MarginMin time.Duration `yaml:"margin_min" default:"10ms" min:"0"`
	// Inherit bounds a request that the service makes by what is left for the request to
	// the service in the same trace, even if the application does not pass a deadline on.
	// Turn it off if the application does work in a request's trace that goes on after the
	// request has ended, and that may take longer than the request.
	Inherit bool `yaml:"inherit" default:"true"`
}

// Overload says what the proxy does before it runs out of memory. A quarter of
// MaxMemoryBytes is the budget for what clients make it hold: connections, streams,
// heads, and content that waits to be read. When half of the budget is used, HTTP/2
// clients may send less ahead. From three quarters on, connections that hold much get no
// further stream (REFUSED_STREAM), and no head may be larger than 16 KiB. From nine tenths
// on, the connections that hold most are closed. Beyond the budget, new connections are
// closed, and requests get 503 (OM). Go's heap is kept within three quarters of
// MaxMemoryBytes, unless GOMEMLIMIT is set.
type Overload struct {
	// MaxMemoryBytes is how much memory the process may use, at least 16777216. 0 is the
	// smallest of its cgroup's limit, GOMEMLIMIT and the machine's memory.
	MaxMemoryBytes int `yaml:"max_memory_bytes" default:"0" min:"0"`
}

// Drain says how the proxy shuts down.
type Drain struct {
	// Timeout is how long requests in flight may take after SIGTERM. Then they are cut.
	Timeout time.Duration `yaml:"timeout" default:"30s" min:"0"`
}

// Log is the proxy's own log, on standard error.
type Log struct {
	// Level is the lowest level that is logged.
	Level string `yaml:"level" default:"info" enum:"debug,info,warn,error"`
}
