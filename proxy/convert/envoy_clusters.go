package convert

import (
	"cmp"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

// thresholds are the circuit breakers of a priority, default or high.
func (n *node) thresholds(priority string) *node {
	for _, t := range n.find("circuit_breakers").find("thresholds").allItems() {
		if priorityOf(t.find("priority").scalarText()) == priority {
			return t
		}
	}
	return nil
}

// priorityOf is a RoutingPriority as hopscope has it.
func priorityOf(text string) string { return strings.ToLower(cmp.Or(text, "default")) }

// cluster converts a cluster.
func (e *envoy) cluster(n *node) {
	name := n.str("name")
	n.skip("alt_stat_name", "per_connection_buffer_limit_bytes", "connect_timeout", "wait_for_warm_on_init", "ignore_health_on_host_removal", "track_timeout_budgets")
	c := config.NewCluster()
	if !e.endpoints(&c, n) {
		n.readAll()
		return
	}
	c.ConnectTimeout = n.duration(c.ConnectTimeout, "connect_timeout")
	e.protocol(&c, n)
	e.balance(&c, name, n)
	e.breakers(&c, n)
	if o := n.get("outlier_detection"); o != nil {
		e.outlier(&c, o)
	}
	for _, h := range n.list("health_checks") {
		e.healthCheck(&c, h)
	}
	if socket := n.get("transport_socket"); socket != nil && !e.upstreamTLS(&c, socket) {
		e.left(n.line, n.path, "without its TLS the endpoints would be spoken to in plain text: the cluster is left out")
		n.readAll()
		return
	}
	e.addCluster(name, c, origin{n.line, n.path})
}

// endpoints converts where a cluster's endpoints come from.
func (e *envoy) endpoints(c *config.Cluster, n *node) bool {
	kind := n.str("type")
	if cluster := n.find("cluster_type"); cluster != nil {
		e.left(cluster.line, cluster.path, "of clusters STATIC, STRICT_DNS and LOGICAL_DNS can be said")
		return false
	}
	switch kind {
	case "", "STATIC", "STRICT_DNS", "LOGICAL_DNS":
	default:
		e.left(n.line, n.path+".type", "%s: endpoints come from Consul, DNS, files or the configuration", kind)
		return false
	}
	load := n.get("load_assignment")
	load.skip("cluster_name")
	c.Balance.Overprovisioning = float64(load.integer(140, "policy", "overprovisioning_factor")) / 100
	localities := load.list("endpoints")
	for _, locality := range localities {
		e.locality(c, locality)
	}
	if len(c.Static) == 0 {
		e.left(n.line, n.path, "the cluster has no endpoints")
		return false
	}
	lookup := strings.HasSuffix(kind, "_DNS")
	if kind == "STRICT_DNS" && e.strictDNS(c, n) {
		return true
	}
	if lookup {
		n.skip("dns_lookup_family", "dns_refresh_rate", "respect_dns_ttl", "dns_failure_refresh_rate", "dns_jitter")
		e.families(n)
		if kind == "STRICT_DNS" {
			for _, s := range c.Static {
				if _, err := netip.ParseAddrPort(s.Address); err != nil {
					e.differs(n.line, n.path+".type", "each name counts as one endpoint, resolved for each new connection: a cluster looks up one name, in dns")
					break
				}
			}
		}
	}
	plain := !slices.ContainsFunc(c.Static, func(s config.StaticEndpoint) bool {
		return s.Weight != 1 || s.Priority != 0 || s.Region+s.Zone != "" || len(s.Metadata) > 0
	})
	if plain {
		for _, s := range c.Static {
			c.Endpoints = append(c.Endpoints, s.Address)
		}
		c.Static = nil
	}
	return true
}

// families notes a choice among addresses that endpoints by name do not have.
func (e *envoy) families(n *node) {
	if f := n.str("dns_lookup_family"); f == "V4_ONLY" || f == "V6_ONLY" {
		at := n.find("dns_lookup_family")
		e.differs(at.line, at.path, "a name in endpoints may have addresses of both families")
	}
}

// strictDNS makes one name the source of the endpoints.
func (e *envoy) strictDNS(c *config.Cluster, n *node) bool {
	s := c.Static[0]
	i := strings.LastIndexByte(s.Address, ':')
	host, port := s.Address[:i], number(s.Address[i+1:])
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || len(c.Static) > 1 || s.Priority != 0 || len(s.Metadata) > 0 {
		return false
	}
	c.DNS, c.Static = config.NewDNS(host, port), nil
	switch n.str("dns_lookup_family") {
	case "V4_ONLY":
		c.DNS.Type = "a"
	case "V6_ONLY":
		c.DNS.Type = "aaaa"
	}
	c.DNS.Refresh = n.duration(c.DNS.Refresh, "dns_refresh_rate")
	n.skip("respect_dns_ttl", "dns_failure_refresh_rate", "dns_jitter")
	return true
}

func (e *envoy) locality(c *config.Cluster, n *node) {
	n.get("locality").skip("sub_zone")
	priority := n.integer(0, "priority")
	for _, lb := range n.list("lb_endpoints") {
		endpoint := lb.get("endpoint")
		endpoint.skip("hostname")
		address, ok := socketAddress(endpoint.get("address"))
		if !ok {
			lb.read = false
			continue
		}
		switch lb.str("health_status") {
		case "UNHEALTHY", "DRAINING", "TIMEOUT":
			e.left(lb.line, lb.path, "an endpoint that is marked as unhealthy is left out")
			lb.readAll()
			continue
		}
		s := config.NewStaticEndpoint(address)
		s.Priority, s.Weight = priority, lb.integer(1, "load_balancing_weight")
		s.Region, s.Zone = n.str("locality", "region"), n.str("locality", "zone")
		for _, f := range lb.get("metadata").get("filter_metadata").get("envoy.lb").allFields() {
			if f.node.read = true; s.Metadata == nil {
				s.Metadata = map[string]string{}
			}
			s.Metadata[f.name] = f.node.text
		}
		c.Static = append(c.Static, s)
	}
}

// protocol converts the version of HTTP.
func (e *envoy) protocol(c *config.Cluster, n *node) {
	c.Protocol = "http1"
	if n.has("http2_protocol_options") {
		c.Protocol = "http2"
	}
	n.skip("http_protocol_options")
	e.http2(c, n.get("http2_protocol_options"))
	if common := n.get("common_http_protocol_options"); common != nil {
		c.IdleTimeout = e.timeout(common, c.IdleTimeout, "idle_timeout")
	}
	for _, f := range n.get("typed_extension_protocol_options").allFields() {
		if !strings.HasSuffix(f.name, "HttpProtocolOptions") {
			continue
		}
		f.node.read = true
		f.node.skip("@type")
		o := f.node
		if common := o.get("common_http_protocol_options"); common != nil {
			c.IdleTimeout = e.timeout(common, c.IdleTimeout, "idle_timeout")
		}
		switch {
		case o.has("explicit_http_config"):
			x := o.get("explicit_http_config")
			x.skip("http_protocol_options")
			if x.has("http2_protocol_options") {
				c.Protocol = "http2"
				e.http2(c, x.get("http2_protocol_options"))
			}
		case o.has("auto_config"):
			c.Protocol = "auto"
			o.get("auto_config").skip("http_protocol_options")
			e.http2(c, o.get("auto_config", "http2_protocol_options"))
		}
	}
}

func (e *envoy) http2(c *config.Cluster, n *node) {
	n.skip("initial_connection_window_size")
	c.HTTP2.MaxConcurrentStreams = n.integer(c.HTTP2.MaxConcurrentStreams, "max_concurrent_streams")
	c.HTTP2.StreamWindow = n.integer(c.HTTP2.StreamWindow, "initial_stream_window_size")
	if k := n.get("connection_keepalive"); k != nil {
		c.HTTP2.KeepAlive, c.HTTP2.KeepAliveTimeout = k.duration(0, "interval"), k.duration(c.HTTP2.KeepAliveTimeout, "timeout")
	}
}

// balance converts how an endpoint is chosen.
func (e *envoy) balance(c *config.Cluster, name string, n *node) {
	b := &c.Balance
	if n.has("load_balancing_policy") {
		at := n.find("load_balancing_policy")
		e.left(at.line, at.path, "only lb_policy can be said: the cluster has round_robin")
		n.skip("load_balancing_policy")
	}
	switch policy := n.str("lb_policy"); policy {
	case "", "ROUND_ROBIN":
	case "LEAST_REQUEST":
		b.Policy = "least_request"
		b.Choices = n.integer(2, "least_request_lb_config", "choice_count")
		if bias, ok := n.number("least_request_lb_config", "active_request_bias", "default_value"); ok {
			n.get("least_request_lb_config", "active_request_bias").skip("runtime_key")
			b.ActiveRequestBias = bias
		}
	case "RANDOM":
		b.Policy = "random"
	case "RING_HASH", "MAGLEV":
		b.Policy = strings.ToLower(policy)
		n.get("ring_hash_lb_config").skip("hash_function")
		b.MinRingSize = n.integer(b.MinRingSize, "ring_hash_lb_config", "minimum_ring_size")
		b.MaxRingSize = n.integer(b.MaxRingSize, "ring_hash_lb_config", "maximum_ring_size")
		b.TableSize = n.integer(b.TableSize, "maglev_lb_config", "table_size")
		if b.Hash = e.hashes[name]; len(b.Hash) == 0 { // Envoy then takes any
			b.Policy = "random"
		}
	default:
		e.left(n.line, n.path+".lb_policy", "%s: the cluster has round_robin", policy)
	}
	for _, config := range []string{"round_robin_lb_config", "least_request_lb_config"} {
		if s := n.get(config).get("slow_start_config"); s != nil {
			b.SlowStart = newSlowStart(s)
		}
	}
	common := n.get("common_lb_config")
	if v, ok := common.number("healthy_panic_threshold", "value"); ok {
		b.PanicThreshold = v
	}
	if bound, ok := common.number("consistent_hashing_lb_config", "hash_balance_factor"); ok && len(b.Hash) > 0 {
		b.BoundedLoad = bound / 100
	}
	if z := common.get("zone_aware_lb_config"); z != nil && e.Locality.Zone != "" {
		b.ZoneAware, b.MinZoneEndpoints = true, z.integer(6, "min_cluster_size")
	}
	if s := n.get("lb_subset_config"); s != nil {
		e.subsets(b, s)
	}
}

func newSlowStart(n *node) *config.SlowStart {
	s := config.NewSlowStart()
	s.Window = n.duration(s.Window, "slow_start_window")
	if a, ok := n.number("aggression", "default_value"); ok {
		n.get("aggression").skip("runtime_key")
		s.Aggression = a
	}
	if m, ok := n.number("min_weight_percent", "value"); ok {
		s.MinPercent = m
	}
	return s
}

func (e *envoy) subsets(b *config.Balance, n *node) {
	s := &config.Subsets{Fallback: map[string]string{"": "none", "NO_FALLBACK": "none", "ANY_ENDPOINT": "any", "DEFAULT_SUBSET": "default"}[n.str("fallback_policy")]}
	for _, selector := range n.list("subset_selectors") {
		s.Selectors = append(s.Selectors, config.Selector{Keys: selector.strs("keys")})
	}
	for _, f := range n.get("default_subset").allFields() {
		if f.node.read = true; s.Default == nil {
			s.Default = map[string]string{}
		}
		s.Default[f.name] = f.node.text
	}
	if len(s.Selectors) > 0 {
		b.Subsets = s
	}
}

func (e *envoy) breakers(c *config.Cluster, n *node) {
	for _, t := range n.get("circuit_breakers").list("thresholds") {
		b := &c.CircuitBreaker.Thresholds
		if priorityOf(t.str("priority")) == "high" {
			b = &c.CircuitBreaker.High
		}
		t.skip("track_remaining", "retry_budget")
		b.MaxConnections = t.integer(b.MaxConnections, "max_connections")
		b.MaxPending = t.integer(b.MaxPending, "max_pending_requests")
		b.MaxRequests = t.integer(b.MaxRequests, "max_requests")
		b.MaxRetries = t.integer(b.MaxRetries, "max_retries")
	}
}

// outlier converts outlier detection. Envoy's "enforcing" shares are all or nothing here.
func (e *envoy) outlier(c *config.Cluster, n *node) {
	o := config.NewOutlier()
	enforced := func(key string, def int) bool {
		share := n.integer(def, key)
		if share != 0 && share != 100 {
			at := n.find(key)
			e.differs(at.line, at.path, "an endpoint is ejected always or never, not in %d %% of the cases", share)
		}
		return share > 0
	}
	counts := func(key string, def int, enforcing string, share int) int {
		count := n.integer(def, key)
		if !enforced(enforcing, share) {
			return 0
		}
		return count
	}
	o.SplitLocalOrigin = n.truth("split_external_local_origin_errors")
	o.Consecutive5xx = counts("consecutive_5xx", 5, "enforcing_consecutive_5xx", 100)
	o.ConsecutiveGateway = counts("consecutive_gateway_failure", 5, "enforcing_consecutive_gateway_failure", 0)
	o.ConsecutiveLocalOrigin = counts("consecutive_local_origin_failure", 5, "enforcing_consecutive_local_origin_failure", 100)
	o.Interval, o.BaseEjection = n.duration(o.Interval, "interval"), n.duration(o.BaseEjection, "base_ejection_time")
	o.MaxEjection = max(n.duration(o.MaxEjection, "max_ejection_time"), o.BaseEjection)
	o.MaxEjectedPercent = n.integer(o.MaxEjectedPercent, "max_ejection_percent")
	o.SuccessRate.Enabled = enforced("enforcing_success_rate", 100)
	o.SuccessRate.MinEndpoints = n.integer(5, "success_rate_minimum_hosts")
	o.SuccessRate.MinRequests = n.integer(100, "success_rate_request_volume")
	o.SuccessRate.StdevFactor = float64(n.integer(1900, "success_rate_stdev_factor")) / 1000
	o.FailurePercentage.Enabled = enforced("enforcing_failure_percentage", 0)
	o.FailurePercentage.Threshold = n.integer(85, "failure_percentage_threshold")
	o.FailurePercentage.MinEndpoints = n.integer(5, "failure_percentage_minimum_hosts")
	o.FailurePercentage.MinRequests = n.integer(50, "failure_percentage_request_volume")
	c.Outlier = o
}

func (e *envoy) healthCheck(c *config.Cluster, n *node) {
	h := config.NewHealthCheck()
	h.Timeout, h.Interval = n.duration(h.Timeout, "timeout"), n.duration(h.Interval, "interval")
	h.UnhealthyThreshold, h.HealthyThreshold = n.integer(h.UnhealthyThreshold, "unhealthy_threshold"), n.integer(h.HealthyThreshold, "healthy_threshold")
	h.NoTrafficInterval = n.duration(h.NoTrafficInterval, "no_traffic_interval")
	n.skip("interval_jitter", "interval_jitter_percent", "initial_jitter", "reuse_connection")
	switch {
	case n.has("http_health_check"):
		x := n.get("http_health_check")
		h.HTTP = config.NewHTTPCheck(x.str("path"))
		h.HTTP.Host = x.str("host")
		if m := x.str("method"); m != "" {
			h.HTTP.Method = m
		}
		x.skip("codec_client_type")
		for _, field := range x.list("request_headers_to_add") {
			field.skip("append_action")
			if h.HTTP.Headers == nil {
				h.HTTP.Headers = map[string]string{}
			}
			h.HTTP.Headers[field.str("header", "key")] = field.str("header", "value")
		}
		if ranges := x.list("expected_statuses"); len(ranges) > 0 {
			h.HTTP.Statuses = nil
			for _, r := range ranges {
				h.HTTP.Statuses = append(h.HTTP.Statuses, statuses(r.integer(200, "start"), r.integer(201, "end")-1))
			}
		}
	case n.has("tcp_health_check"):
		h.TCP = &config.TCPCheck{Send: hexText(n.str("tcp_health_check", "send", "text"))}
		for _, r := range n.get("tcp_health_check").list("receive") {
			h.TCP.Receive += hexText(r.str("text"))
		}
	case n.has("grpc_health_check"):
		h.GRPC = &config.GRPCCheck{Service: n.str("grpc_health_check", "service_name"), Authority: n.str("grpc_health_check", "authority")}
	default:
		n.read = false
		return
	}
	c.HealthChecks = append(c.HealthChecks, h)
}

func statuses(first, last int) string {
	if first == last {
		return itoa(first)
	}
	return itoa(first) + "-" + itoa(last)
}

func hexText(text string) string {
	raw, err := hex.DecodeString(text)
	if err != nil {
		return text
	}
	return string(raw)
}
