package convert

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
)

// envoy is a bootstrap of Envoy's that is being converted.
type envoy struct {
	*draft
	secrets  map[string]*node           // static ones, by name
	clusters map[string]*node           // by name
	hashes   map[string][]config.HashOn // hash policies of routes, by cluster
	hashedAt map[string]int             // the line of the first, by cluster
}

// Envoy converts a bootstrap in YAML or JSON: its static resources. name stands for the
// file in notes and errors.
func Envoy(name string, data []byte) (*Result, error) {
	root, err := parseTree(name, data)
	if err != nil {
		return nil, err
	}
	root.read = true
	if root.has("resources") && !root.has("static_resources") {
		return nil, fmt.Errorf("%s: it is an answer of a control plane; expected a bootstrap with static_resources", name)
	}
	e := &envoy{
		draft: newDraft(name), secrets: map[string]*node{}, clusters: map[string]*node{},
		hashes: map[string][]config.HashOn{}, hashedAt: map[string]int{},
	}
	e.bootstrap(root)
	root.unread(func(n *node) { e.left(n.line, n.path, "%s", reasonOf(n)) })
	return e.finish("# Converted from Envoy's " + oneLine(name) + ".\n")
}

func (e *envoy) bootstrap(root *node) {
	root.skip("stats_flush_interval", "layered_runtime", "dynamic_resources")
	if n := root.find("dynamic_resources"); n != nil {
		e.left(n.line, n.path, "hopscope asks no control plane (xDS): endpoints come from Consul, DNS or files")
	}
	if n := root.find("layered_runtime"); n != nil {
		e.left(n.line, n.path, "hopscope has no runtime values: change the file, which is reloaded")
	}
	if n := root.get("node"); n != nil {
		n.skip("id", "cluster", "locality", "metadata")
		if service := n.str("cluster"); service != "" {
			e.Service = service
			if err := firstMistake(e.valid()); err != nil {
				e.Service = config.New().Service
				e.left(n.line, "node.cluster", "%v", err)
			}
		}
		e.Locality.Region, e.Locality.Zone = n.str("locality", "region"), n.str("locality", "zone")
	}
	if n := root.get("admin"); n != nil {
		n.skip("access_log", "access_log_path")
		if address, ok := socketAddress(n.get("address")); ok {
			e.admin(n, address)
		}
	}
	static := root.get("static_resources")
	for _, n := range static.list("secrets") {
		e.secrets[n.str("name")] = n
	}
	clusters := static.list("clusters")
	for _, n := range clusters {
		e.clusters[n.str("name")] = n
		e.http2Clusters[n.str("name")] = speaksHTTP2(n)
	}
	for i, n := range static.list("listeners") {
		e.listener(i, n)
	}
	for _, n := range clusters {
		e.cluster(n)
	}
}

// admin takes the address of the admin API, which only loopback addresses have for nothing.
func (e *envoy) admin(n *node, address string) {
	host := strings.Trim(address[:strings.LastIndexByte(address, ':')], "[]")
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		e.left(n.line, "admin.address", "hopscope opens its admin API to others only with tokens or certificates: see admin.token_file and admin.tls; it stays at %s", config.New().Admin.Address)
		return
	}
	e.Admin.Address = address
}

// valid validates what is there besides listeners.
func (e *envoy) valid() error {
	c := config.New()
	c.Service = e.Service
	l := config.NewListener("in", ":80")
	r := config.NewRoute("")
	r.Answer = config.NewAnswer()
	l.Routes = []config.Route{r}
	c.Listeners = []config.Listener{l}
	return c.Validate()
}

// socketAddress reads an address with its port.
func socketAddress(n *node) (address string, ok bool) {
	s := n.get("socket_address")
	if s == nil {
		return "", false
	}
	s.skip("protocol", "ipv4_compat")
	host, port := s.str("address"), s.str("port_value")
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		host = "[" + host + "]"
	}
	return host + ":" + port, port != ""
}

// listener converts a listener with one HTTP connection manager.
func (e *envoy) listener(i int, n *node) {
	name := n.str("name")
	if name == "" {
		name = fmt.Sprintf("listener-%d", i)
	}
	address, ok := socketAddress(n.get("address"))
	if !ok {
		e.left(n.line, n.path, "hopscope listens on TCP ports only")
		n.readAll()
		return
	}
	l := config.NewListener(name, address)
	n.skip("stat_prefix", "per_connection_buffer_limit_bytes", "enable_reuse_port", "tcp_backlog_size")
	if n.str("traffic_direction") == "OUTBOUND" {
		l.Direction = "outbound"
	}
	e.listenerFilters(n)
	chains := n.list("filter_chains")
	if n.has("default_filter_chain") {
		chains = append(chains, n.get("default_filter_chain"))
	}
	if len(chains) == 0 {
		e.left(n.line, n.path, "it has no filter chain")
		return
	}
	for _, other := range chains[1:] {
		e.left(other.line, other.path, "a listener here has one list of routes and one set of certificates: only the first filter chain was converted")
		other.readAll()
	}
	e.filterChain(&l, chains[0])
}

func (e *envoy) listenerFilters(n *node) {
	for _, f := range n.list("listener_filters") {
		switch kind := f.str("name") + typeOf(f); {
		case strings.Contains(kind, "tls_inspector"), strings.Contains(kind, "http_inspector"):
			f.readAll() // hopscope tells protocols apart by itself
		default:
			f.read = false
		}
	}
}

// typeOf is the type of a filter's configuration, such as Router.
func typeOf(n *node) string {
	full := n.str("typed_config", "@type")
	return full[strings.LastIndexAny(full, "./")+1:]
}

func (e *envoy) filterChain(l *config.Listener, chain *node) {
	chain.skip("name")
	if n := chain.get("filter_chain_match"); n != nil && len(n.fields) > 0 {
		n.read = false
	}
	if socket := chain.get("transport_socket"); socket != nil && !e.downstreamTLS(l, socket) {
		e.left(chain.line, chain.path, "without its certificates the listener would be open in plain text: it is left out")
		chain.readAll()
		return
	}
	var manager *node
	for _, f := range chain.list("filters") {
		if typeOf(f) == "HttpConnectionManager" || f.str("name") == "envoy.filters.network.http_connection_manager" {
			f.skip("name")
			manager = f.get("typed_config")
			continue
		}
		if typeOf(f) == "ConnectionLimit" {
			e.connectionLimit(l, f)
			continue
		}
		f.read = false
	}
	if manager == nil {
		e.left(chain.line, chain.path, "it has no HTTP connection manager, and hopscope proxies HTTP only")
		chain.readAll()
		return
	}
	manager.skip("@type")
	if e.manager(l, manager) {
		e.listen(*l)
	}
}

// manager converts an HTTP connection manager; false if hopscope can't have its listener.
func (e *envoy) manager(l *config.Listener, n *node) bool {
	n.skip("stat_prefix", "codec_type", "generate_request_id", "preserve_external_request_id", "http_protocol_options",
		"add_user_agent", "strip_trailing_host_dot", "preserve_case_header_key_format",
		"always_set_request_id_in_response")
	l.StreamIdleTimeout = e.timeout(n, l.StreamIdleTimeout, "stream_idle_timeout")
	l.RequestHeadTimeout = e.timeout(n, l.RequestHeadTimeout, "request_headers_timeout")
	l.IdleTimeout = e.timeout(n, l.IdleTimeout, "common_http_protocol_options", "idle_timeout")
	l.MaxConnectionAge = n.duration(0, "common_http_protocol_options", "max_connection_duration")
	l.MaxHeaderFields = n.integer(l.MaxHeaderFields, "common_http_protocol_options", "max_headers_count")
	l.MaxHeaderBytes = n.integer(l.MaxHeaderBytes>>10, "max_request_headers_kb") << 10
	l.HTTP2.MaxConcurrentStreams = n.integer(l.HTTP2.MaxConcurrentStreams, "http2_protocol_options", "max_concurrent_streams")
	l.HTTP2.StreamWindow = n.integer(l.HTTP2.StreamWindow, "http2_protocol_options", "initial_stream_window_size")
	n.find("http2_protocol_options").skip("initial_connection_window_size", "allow_connect")
	if c := n.str("forward_client_cert_details"); c != "" {
		l.ForwardClientCert = strings.ToLower(c)
	}
	l.Path = config.Path{Normalize: n.truth("normalize_path"), MergeSlashes: n.truth("merge_slashes"), EscapedSlashes: "keep"}
	if word := map[string]string{"REJECT_REQUEST": "reject", "UNESCAPE_AND_REDIRECT": "redirect", "UNESCAPE_AND_FORWARD": "unescape"}[n.str("path_with_escaped_slashes_action")]; word != "" {
		l.Path.EscapedSlashes = word
	}
	e.forwarded(l, n)
	if !e.opens(l, origin{n.line, l.Name}) {
		n.readAll()
		return false
	}
	filters := e.httpFilters(l, n)
	if n.has("access_log") {
		e.accessLog(n.get("access_log"))
	}
	routes := n.get("route_config")
	if routes == nil {
		return true
	}
	anyPort := false
	for _, key := range []string{"strip_any_host_port", "strip_matching_host_port"} {
		if n.truth(key) {
			at := n.find(key)
			anyPort = true
			e.differs(at.line, at.path, "a port in Host does not count for matching, but stays in what the endpoint gets")
		}
	}
	e.routeConfig(l, routes, filters, anyPort)
	filters.finish()
	return true
}

// timeout reads a timeout that hopscope always has. In Envoy 0 means that there is none.
func (e *envoy) timeout(n *node, def time.Duration, names ...string) time.Duration {
	d := n.duration(def, names...)
	if d > 0 {
		return d
	}
	at := n.get(names...)
	const never = 24 * 365 * time.Hour
	e.differs(at.line, at.path, "hopscope always has this timeout: it is set to a year")
	return never
}

// forwarded converts who is believed about the client.
func (e *envoy) forwarded(l *config.Listener, n *node) {
	hops := n.integer(0, "xff_num_trusted_hops")
	if n.truth("use_remote_address") {
		l.Forwarded.TrustedProxies = hops
		if n.truth("skip_xff_append") {
			l.Forwarded.XForwarded = "pass"
		}
		return
	}
	n.skip("use_remote_address", "skip_xff_append")
	l.Forwarded.TrustedProxies, l.Forwarded.XForwarded = hops+1, "pass"
	e.differs(n.line, "use_remote_address", "without it Envoy believes X-Forwarded-For, and so does this listener: set forwarded.trusted_proxies to 0 if it faces the public")
}

// accessLog converts the first log that goes to a file.
func (e *envoy) accessLog(logs *node) {
	for _, log := range logs.items {
		log.read = true
		log.skip("name")
		t := log.get("typed_config")
		path := t.str("path")
		switch typeOf(log) {
		case "FileAccessLog":
		case "StdoutAccessLog":
			path = "/dev/stdout"
		case "StderrAccessLog":
			path = "/dev/stderr"
		default:
			log.read = false
			continue
		}
		format := t.str("log_format", "text_format_source", "inline_string")
		if format == "" {
			format = t.str("format")
		}
		to := config.AccessLogTo{Path: map[string]string{"/dev/stdout": "stdout", "/dev/stderr": "stderr"}[path]}
		if to.Path == "" {
			to.Path = path
		}
		if format != "" {
			to.Format = strings.TrimRight(format, "\n")
		}
		e.useLog(log, to)
	}
}

// useLog makes a log the proxy's, if hopscope has its format and it is the first.
func (e *envoy) useLog(log *node, to config.AccessLogTo) {
	was := e.Telemetry.AccessLog.AccessLogTo
	if e.Telemetry.AccessLog.Format != "" && e.Telemetry.AccessLog.Format != to.Format {
		e.left(log.line, log.path, "hopscope has one access log for all listeners: another one goes into telemetry.access_log.also")
		return
	}
	e.Telemetry.AccessLog.Path, e.Telemetry.AccessLog.Format = to.Path, to.Format
	c := config.New()
	c.Telemetry.AccessLog.AccessLogTo = e.Telemetry.AccessLog.AccessLogTo
	l := config.NewListener("in", ":80")
	r := config.NewRoute("")
	r.Answer = config.NewAnswer()
	l.Routes = []config.Route{r}
	c.Listeners = []config.Listener{l}
	if err := firstMistake(c.Validate()); err != nil {
		e.Telemetry.AccessLog.AccessLogTo = was
		e.left(log.line, log.path, "%v", err)
	}
}

// reasons say why hopscope can't have a key of Envoy's.
var reasons = map[string]string{
	"rds":                                "hopscope asks no control plane (xDS): write the routes into the file",
	"scoped_routes":                      "hopscope asks no control plane (xDS): write the routes into the file",
	"eds_cluster_config":                 "hopscope asks no control plane (xDS): endpoints come from Consul, DNS or files",
	"cds_config":                         "hopscope asks no control plane (xDS)",
	"lds_config":                         "hopscope asks no control plane (xDS)",
	"rate_limits":                        "hopscope has no rate limits",
	"virtual_clusters":                   "they only name metrics: name the routes",
	"filter_chain_match":                 "a listener here has one list of routes for all connections",
	"local_reply_config":                 "see error_bodies of a route, and error_pages of a listener",
	"tracing":                            "see telemetry.traces, which has collectors and sampling for the whole proxy",
	"request_headers_to_add":             "fields are changed by whole routes",
	"request_headers_to_remove":          "fields are changed by whole routes",
	"response_headers_to_add":            "fields are changed by whole routes",
	"response_headers_to_remove":         "fields are changed by whole routes",
	"weighted_clusters":                  "a route leads to one cluster",
	"cluster_header":                     "a route leads to one cluster",
	"host_rewrite_path_regex":            "a host is rewritten to a name, to a field's value or to the endpoint's address",
	"append_x_forwarded_host":            "hopscope does not write X-Forwarded-Host",
	"require_tls":                        "hopscope's conditions do not have the scheme: add a redirect to the routes of the plain listener",
	"transport_socket":                   "of transport sockets hopscope has TLS and plain text",
	"transport_socket_matches":           "a cluster has one kind of TLS",
	"dynamic_metadata":                   "hopscope has no dynamic metadata",
	"filter_state":                       "hopscope has no filter state",
	"tls_context":                        "see identities, for names in the client's certificate",
	"attributes":                         "the cookie of a session has HttpOnly, and no other attributes but Path and Max-Age",
	"matcher":                            "hopscope has lists of routes, not trees of matchers",
	"server_name":                        "the Server field stays the endpoint's",
	"overload_manager":                   "hopscope protects itself: see overload",
	"stats_sinks":                        "metrics are Prometheus's, at /metrics of the admin API",
	"stats_config":                       "hopscope has the metrics that it has",
	"include_request_attempt_count":      "x-envoy-attempt-count is always there",
	"request_timeout":                    "hopscope has no timeout for receiving a whole request: see stream_idle_timeout",
	"response_rate_limit":                "see bandwidth of a route, which is for all its requests together",
	"retry_host_predicate":               "a retry goes to another endpoint, if there is one; hopscope knows no other wish",
	"per_try_idle_timeout":               "see per_try_timeout, which is until the response begins",
	"per_host_thresholds":                "limits are of the cluster, for all endpoints together",
	"max_connection_pools":               "a cluster has one pool for each endpoint",
	"overrides":                          "a route has the settings of the filter, or does without it",
	"retriable_request_headers":          "what is retried does not depend on fields of the request",
	"rate_limited_retry_back_off":        "the wait before a retry does not depend on fields of the response",
	"retry_priority":                     "a retry goes to another endpoint of the priority in use",
	"locality_weighted_lb_config":        "weights of localities are not used: see balance.zone_aware",
	"http3_protocol_options":             "hopscope has no HTTP/3",
	"api_listener":                       "hopscope has no API listeners",
	"udp_listener_config":                "hopscope does not proxy UDP",
	"watchdogs":                          "hopscope has none",
	"listener_filters":                   "hopscope has no such listener filter",
	"typed_extension_protocol_options":   "hopscope has no such options",
	"certificate_validation_context_sds": "hopscope asks no control plane (xDS)",
	"respect_dns_ttl":                    "hopscope always respects the time to live",
	"dns_resolvers":                      "see clusters.NAME.dns.resolver",
	"max_active_faults":                  "the number of faults at once is not limited",
	"downstream_nodes":                   "faults do not depend on Envoy's node ids",
}

// filterReasons say the same of HTTP and network filters, by a part of their type.
var filterReasons = []struct{ part, why string }{
	{"lua", "hopscope runs no Lua"}, {"wasm", "hopscope runs no WebAssembly"}, {"jwt", "hopscope does not check tokens: the routes are open to all"},
	{"oauth2", "hopscope does not check tokens: the routes are open to all"},
	{"api_key_auth", "hopscope asks for no keys: the routes are open to all"},
	{"extauthz", "hopscope asks no authorization service: the routes are open to all"},
	{"ext_authz", "hopscope asks no authorization service: the routes are open to all"},
	{"rbac", "hopscope has no RBAC, and the routes are open to all: see clients and identities of a match"}, {"ratelimit", "hopscope has no rate limits: max_requests of a route bounds how many are under way"},
	{"rate_limit", "hopscope has no rate limits: max_requests of a route bounds how many are under way"}, {"extproc", "hopscope asks no processing service"}, {"ext_proc", "hopscope asks no processing service"},
	{"tcp_proxy", "hopscope proxies HTTP only"}, {"tcpproxy", "hopscope proxies HTTP only"}, {"proxy_protocol", "hopscope does not read the PROXY protocol"},
	{"dynamic_forward_proxy", "see forward_proxy of a listener"},
}

func reasonOf(n *node) string {
	kind := strings.ToLower(n.find("name").scalarText() + " " + n.find("typed_config").find("@type").scalarText() + " " + n.find("@type").scalarText())
	for _, f := range filterReasons {
		if strings.Contains(kind, f.part) {
			return f.why
		}
	}
	key := n.key()
	if i := strings.IndexByte(key, '['); i >= 0 {
		key = key[:i]
	}
	if why, ok := reasons[snake(key)]; ok {
		return why
	}
	return "hopscope has no such setting"
}

func (n *node) scalarText() string {
	if n == nil {
		return ""
	}
	return n.text
}
