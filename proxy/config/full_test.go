package config

import (
	"net/netip"
	"reflect"
	"testing"
	"time"
)

// full has every key with something other than its default.
const full = `service: shop
routes_from: ["none/*.yaml"]
admin:
  address: 127.0.0.1:9902
  token_file: read.token
  control_token_file: control.token
  tls: {cert: admin.pem, key: admin.key, client_ca: ca.pem, client_san: ["*.example.com"], control_san: [ops.example.com]}
  open: [metrics]
  insecure: false
mesh:
  name: shop
  instance: web-1
  peers: ["10.0.0.2:9901", "[::1]:9901"]
  consul: {address: 10.0.0.1}
  dns: {name: hopscope.internal, port: 9902, resolver: "10.0.0.53:53"}
  token_file: mesh.token
  tls: {ca: ca.pem, cert: mesh.pem, key: mesh.key, san: ["spiffe://mesh"]}
listeners:
  - name: in
    address: "[::1]:0"
    direction: outbound
    path: {normalize: false, merge_slashes: false, escaped_slashes: unescape}
    routes:
      - name: all
        match:
          path: /a
          path_prefix: /
          path_segments: /a
          path_regex: "/[a-z]"
          path_template: "/{id}"
          hosts: ["*.example.com", "[::1]"]
          methods: [GET, PURGE]
          headers:
            x-a: {exact: beta, ignore_case: true}
            x-b: {prefix: b}
            x-c: {suffix: "1"}
            x-d: {contains: c}
            x-e: {regex: "curl/.*"}
            x-f: {range: [100, 200]}
            x-g: {present: true}
            x-h: {absent: true}
            x-i: {not: {exact: a}}
          query: {v: {exact: "2"}}
          cookies: {group: {prefix: b}}
          clients: [10.0.0.0/8]
          identities: ["spiffe://mesh/ns/web/*"]
          grpc: {service: shop.Cart, method: Add}
          percent: 12.5
          not: {methods: [PUT]}
        cluster: c.1
        request_headers: {set: {x-real-ip: "%CLIENT_IP%"}, add: {x-a: b}, remove: [cookie]}
        response_headers: {remove: [server]}
        timeout: 0
        priority: high
        retry:
          on: [retriable-status-codes, retriable-headers, 5xx]
          statuses: [429, 503]
          headers: [x-retry]
          attempts: 4
          per_try_timeout: 2s
          backoff: {base: 50ms, max: 1s}
          budget: {percent: 12.5, min: 0}
          max_body: 0
        hedge: {after: 200ms, attempts: 3}
        subset: {version: v2}
        stateful_session: {cookie: {name: srv, path: /cart, ttl: 1h}, strict: true}
        host: endpoint
        slow_threshold: 1h30m
        traces: {sample: 0.5}
        basic_auth: {file: users.htpasswd, realm: the shop, username_header: x-user, forward: false}
        body: {max: 10MiB, buffer: true}
        compress: {algorithms: [gzip, br], min_bytes: 0, types: [application/json, "text/*"]}
        error_bodies:
          - {statuses: [503], body: "later\n", content_type: text/html, endpoints: true}
          - {json: {error: sorry}}
        cors:
          allow_origins: ["https://a.example.com", "regex:https://.*\\.example\\.com"]
          allow_methods: [PUT]
          allow_headers: [content-type]
          expose_headers: [x-a]
          max_age: 1h
          allow_credentials: true
        internal_redirects: {max: 3, codes: [301, 307], cross_scheme: true, copy_headers: [x-why]}
        mirror: [{cluster: c.1, percent: 5.5, timeout: 2s, max_requests: 7, max_behind: 64KiB}]
        idle_timeout: 90s
        bandwidth: {request: 1MiB, response: 2MiB}
        decompress: {algorithms: [gzip], max: 5MiB}
        upgrades: [websocket, a/1]
        fault: {delay: {fixed: 300ms, percent: 1}, abort: {status: 500, grpc_status: 13, percent: 0.1}, headers: true}
        early_data: {allow: none}
        max_requests: 200
        adaptive_concurrency:
          percentile: 90
          max_concurrency: 500
          min_concurrency: 5
          update_interval: 200ms
          min_rtt: {interval: 30s, requests: 100, jitter: 10, buffer: 50, fixed: 10ms}
        admission_control: {sampling_window: 60s, success_rate_threshold: 90, aggression: 1.5, rps_threshold: 5, max_rejection_percent: 70, success_statuses: [200-399, 404], success_grpc_statuses: [0, 5]}
        queue: {max: 20, max_wait: 250ms, priority_header: priority}
        shed: {status: 429, retry_after: 5s}
      - cluster: c.1
        transcode:
          descriptors: shop.pb
          services: [shop.Cart]
          auto_mapping: true
          reject_unknown_methods: true
          ignored_query_parameters: [api_key]
          ignore_unknown_query_parameters: true
          convert_grpc_status: false
          max_message: 1MiB
          print: {add_whitespace: true, always_print_primitive_fields: true, always_print_enums_as_ints: true, preserve_proto_field_names: true}
      - redirect: {scheme: https, host: a.test, port: 8443, path: "/new?a=b", strip_query: true, code: 308}
      - redirect: {path_prefix: /new}
      - redirect: {path_regex: "/(a)", substitution: '/\1'}
      - answer: {status: 503, headers: {x-a: b}, body: "no\n"}
      - answer: {file: robots.txt}
      - answer: {json: {ok: true}}
      - {cluster: c.1, rewrite: {path_prefix: /new, host: a.test}}
      - {cluster: c.1, rewrite: {path_regex: "/(a)", substitution: '/\1', host_from_header: x-host, location: true, cookies: true}}
      - {match: {path_template: "/{id}"}, cluster: c.1, rewrite: {path_template: "/a/{id}"}}
      - {split: [{cluster: c.1, weight: 90}, {cluster: c.1, weight: 10, variant: beta, request_headers: {set: {x-variant: b}}, response_headers: {remove: [x-a]}}], sticky: {cookie: {name: variant, ttl: 1h, path: /cart}}}
      - name: canary
        split: [{cluster: c.1, weight: 90}, {cluster: c.1, weight: 10, variant: beta}]
        guard: {canary: beta, min_requests: 300, max_error_rate_over_stable: 0.01, max_p99_over_stable: 2, window: 10m, then: 1}
      - {split: [{cluster: c.1}], sticky: {header: x-user}}
      - {split: [{cluster: c.1}], sticky: {source: true}}
      - {cluster_header: x-cluster, allow_clusters: [c.1], stateful_session: {header: {name: x-session}}}
    catalog: consul
    trusted_callers: [10.0.0.0/8]
    forward_proxy:
      allow:
        - {clients: [10.0.0.0/8, fd00::/8], destinations: ["*.example.com:443", "[fd00::/8]:80"]}
      deny: [10.9.0.0/16, "*.internal:22"]
      connect_timeout: 1ms
      timeout: 0s
    tls:
      certificates: [{cert: web.pem, key: web.key}, {cert: /etc/b.pem, key: /etc/b.key}]
      client_auth: require
      client_ca: ca.pem
      client_san: ["spiffe://mesh/ns/default/*", "*.example.com"]
      crl: crl.pem
      min_version: "1.3"
      max_version: "1.3"
      alpn: [http/1.1]
      session_tickets: false
      handshake_timeout: 8s
    http2:
      max_concurrent_streams: 1
      stream_window: 65535
      keep_alive: 9s
      keep_alive_timeout: 1s
      max_resets: 1
      max_control_frames: 2
    grpc_web: false
    forwarded: {trusted_proxies: 2, x_forwarded: cut, rfc7239: append}
    forward_client_cert: sanitize_set
    via: false
    proxy_status: cut
    server_timing: append
    error_pages: [{statuses: ["404", 500-599], file: sorry.html}]
    request_head_timeout: 1s
    idle_timeout: 2s
    stream_idle_timeout: 3s
    abort_on_close: never
    max_connections: 7
    max_connection_age: 1h
    max_connection_age_grace: 5m
    max_header_bytes: 1024
    max_header_fields: 1
clusters:
  c.1:
    endpoints: [web:80, "[::1]:81"]
    balance:
      policy: ring_hash
      hash:
        - {header: x-user, terminal: true}
        - {cookie: session, cookie_ttl: 1h, cookie_path: /shop}
        - {query: user}
        - {source: true}
        - {path: true}
      choices: 3
      active_request_bias: 0.5
      min_ring_size: 100
      max_ring_size: 200
      table_size: 101
      bounded_load: 1.25
      decay: 5s
      default_rtt: 1us
      panic_threshold: 0
      overprovisioning: 2
      zone_aware: true
      min_zone_endpoints: 1
      slow_start: {window: 1m, aggression: 2, min_percent: 5}
      subsets:
        selectors: [{keys: [version]}, {keys: [version, stage]}]
        fallback: default
        default: {version: v1}
    retry: {on: [connect-failure, unavailable]}
    hedge: {after: 1s}
    protocol: http2
    tls:
      ca: ca.pem
      sni: api.internal
      cert: me.pem
      key: me.key
      san: [spiffe://mesh]
      spki: [47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=]
      crl: /crl.der
      insecure_skip_verify: true
      min_version: "1.2"
      max_version: "1.2"
    http2: {max_concurrent_streams: 1000000, keep_alive: 0}
    connect_timeout: 1.5s
    idle_timeout: 4s
    learn_idle_timeout: false
    circuit_breaker: {max_connections: 1, max_pending: 0, max_requests: 2, max_retries: 0, high: {max_connections: 3, max_pending: 4, max_requests: 5, max_retries: 6}}
    outlier:
      consecutive_5xx: 0
      consecutive_gateway: 6
      consecutive_local_origin: 7
      split_local_origin: true
      interval: 1s
      base_ejection: 2s
      max_ejection: 3s
      max_ejected_percent: 100
      success_rate: {enabled: false, min_endpoints: 3, min_requests: 4, stdev_factor: 2.5}
      failure_percentage: {enabled: true, threshold: 50, min_endpoints: 8, min_requests: 9}
    health_checks:
      - http:
          path: /health?full=1
          method: HEAD
          host: health.internal
          headers: {authorization: "Bearer t0ps3cret"}
          statuses: ["200", 204, 300-399]
          body: ok
        port: 9000
        interval: 6s
        timeout: 2s
        unhealthy_threshold: 1
        healthy_threshold: 4
        no_traffic_interval: 30s
      - tcp: {send: PING, receive: PONG}
      - grpc: {service: web, authority: web.internal}
    peer_service: payments
    max_idle: 0
    max_header_bytes: 2048
    max_header_fields: 2
  static:
    static:
      - {address: "a:80", weight: 3, priority: 1, region: eu, zone: eu-1, metadata: {version: v2}}
      - {address: "b:80"}
  consul:
    consul:
      address: "[::1]:8501"
      token_file: consul.token
      tls: {ca: ca.pem, cert: me.pem, key: me.key, server_name: server.dc1.consul, insecure_skip_verify: true}
      datacenter: dc1
      namespace: shop
      partition: default
      stale: true
      wait: 1m
      service: payments
      tags: [v2, primary]
      filter: Service.Meta.env == "prod"
      near: _agent
      only_passing: true
      failover: [dc2, dc3]
  query: {consul: {query: nearest-payments}}
  dns:
    dns: {name: legacy.internal, port: 8080, type: a, mode: logical, resolver: "10.0.0.53:53", refresh: 1s, min_ttl: 2s, max_ttl: 1m}
  srv: {dns: {name: _http._tcp.legacy.internal, type: srv}}
  file: {file: {path: endpoints.yaml}}
consul:
  address: agent:8500
  token: t0ps3cret
  tls: {}
catalog:
  suffixes: [service.consul, mesh]
  like: c.1
  timeout: 0
  auth: {staff: {file: staff.htpasswd, realm: admin, forward: false}}
discovery: {cache: /var/lib/hopscope/discovery.json, max_age: 1h}
register:
  consul:
    name: shop-web
    id: shop-web-1
    address: 10.0.0.7
    port: 8443
    tags: [v2]
    meta: {env: prod}
    weight: 10
    names: [shop]
    check: {http: "http://127.0.0.1:3000/health", interval: 10s, timeout: 2s, deregister_after: 1h}
    sidecar: false
locality: {region: eu, zone: eu-1}
telemetry:
  traces:
    otlp:
      protocol: http/protobuf
      endpoint: https://collector/otlp/v1/traces
      headers: {authorization: "Bearer t0ps3cret"}
      timeout: 5s
      compression: gzip
      tls: {ca: ca.pem, cert: me.pem, key: me.key, server_name: collector.internal, insecure_skip_verify: true}
    zipkin: {url: "https://user:t0ps3cret@zipkin/api/v2/spans?key=t0ps3cret&x=", timeout: 6s}
    exporters:
      - otlp: {endpoint: "[::1]:4317", headers: {authorization: "Bearer t0ps3cret"}, tls: true}
      - otlp: {endpoint: "collector:4317", tls: false}
      - zipkin: {url: "http://user:t0ps3cret@zipkin:9411"}
    sample: 1e-3
    max_per_second: 2.5
    extract: []
    inject: [b3multi, b3]
  resource_attributes: {deployment.environment.name: prod}
  access_log:
    path: /var/log/hop.log
    fields: [time, status]
    only: failed_or_slow
    sample: 0.25
    also:
      - {path: stderr, format: "%START_TIME% %RESPONSE_CODE%\n", only: failed, sample: 0.5}
      - {path: stdout, fields: [path]}
      - {otlp: {endpoint: "logs:4317"}, format: "%PROTOCOL%"}
      - {als: {address: "als:5000", log_name: shop, timeout: 3s, tls: true}}
      - path: /var/log/hop.json
        json_format: {z: "%RESPONSE_CODE%", a: {list: ["%PROTOCOL%", 1, 1.5, true, null], empty: {}}}
  metrics: {native_histograms: false}
  slow_threshold: 0s
  learn_routes: false
  store: {max_bytes: 0}
deadlines: {enabled: false, margin_percent: 2.5, margin_min: 20ms, inherit: false}
overload: {max_memory_bytes: 67108864}
drain: {timeout: 0s}
log: {level: debug}
upgrade_socket: "@hopscope"
huge_pages: true
`

func fullAction(set func(*Route)) Route {
	r := NewRoute("")
	set(&r)
	return r
}

func fullMatch() Match {
	return Match{
		Conditions: Conditions{
			Path: "/a", PathPrefix: "/", PathSegments: "/a", PathRegex: "/[a-z]", PathTemplate: "/{id}",
			Hosts: []string{"*.example.com", "[::1]"}, Methods: []string{"GET", "PURGE"},
			Headers: map[string]ValueMatch{
				"x-a": {Text: Text{Exact: "beta", IgnoreCase: true}}, "x-b": {Text: Text{Prefix: "b"}}, "x-c": {Text: Text{Suffix: "1"}},
				"x-d": {Text: Text{Contains: "c"}}, "x-e": {Text: Text{Regex: "curl/.*"}}, "x-f": {Text: Text{Range: []int{100, 200}}},
				"x-g": {Present: true}, "x-h": {Absent: true}, "x-i": {Not: &Text{Exact: "a"}},
			},
			Query:      map[string]ValueMatch{"v": {Text: Text{Exact: "2"}}},
			Cookies:    map[string]ValueMatch{"group": {Text: Text{Prefix: "b"}}},
			Clients:    []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
			Identities: []string{"spiffe://mesh/ns/web/*"}, GRPC: &GRPCMatch{Service: "shop.Cart", Method: "Add"},
		},
		Percent: 12.5,
		Not: &Conditions{
			Methods: []string{"PUT"}, Headers: map[string]ValueMatch{}, Query: map[string]ValueMatch{}, Cookies: map[string]ValueMatch{},
		},
	}
}

func TestParseFull(t *testing.T) {
	want := &Config{
		Service: "shop", RoutesFrom: []string{"none/*.yaml"},
		Admin: Admin{
			Address: "127.0.0.1:9902", TokenFile: "read.token", ControlTokenFile: "control.token", Open: []string{"metrics"},
			TLS: &AdminTLS{Cert: "admin.pem", Key: "admin.key", ClientCA: "ca.pem", ClientSAN: []string{"*.example.com"}, ControlSAN: []string{"ops.example.com"}},
		},
		Mesh: &Mesh{
			Name: "shop", Instance: "web-1", Peers: []string{"10.0.0.2:9901", "[::1]:9901"}, TokenFile: "mesh.token",
			Consul: &MeshConsul{Address: "10.0.0.1"}, DNS: &MeshDNS{Name: "hopscope.internal", Port: 9902, Resolver: "10.0.0.53:53"},
			TLS: &MeshTLS{CA: "ca.pem", Cert: "mesh.pem", Key: "mesh.key", SAN: []string{"spiffe://mesh"}},
		},
		Listeners: []Listener{{ListenerSocket{
			Name: "in", Address: "[::1]:0",
			TLS: &ListenerTLS{
				Certificates: []Certificate{{"web.pem", "web.key"}, {"/etc/b.pem", "/etc/b.key"}},
				ClientAuth:   "require", ClientCA: "ca.pem", ClientSAN: []string{"spiffe://mesh/ns/default/*", "*.example.com"},
				CRL: "crl.pem", MinVersion: "1.3", MaxVersion: "1.3", ALPN: []string{"http/1.1"}, HandshakeTimeout: 8 * time.Second,
			},
			HTTP2: HTTP2{MaxConcurrentStreams: 1, StreamWindow: 65535, KeepAlive: 9 * time.Second, KeepAliveTimeout: time.Second,
				MaxResets: 1, MaxControlFrames: 2},
			RequestHeadTimeout: time.Second, IdleTimeout: 2 * time.Second, StreamIdleTimeout: 3 * time.Second, AbortOnClose: "never",
			MaxConnectionAge: time.Hour, MaxConnectionAgeGrace: 5 * time.Minute,
			MaxConnections: 7, MaxHeaderBytes: 1024, MaxHeaderFields: 1,
		}, ListenerHTTP{
			Direction: "outbound",
			Path:      Path{EscapedSlashes: "unescape"},
			Routes: []Route{{
				Name:            "all",
				Match:           fullMatch(),
				Cluster:         "c.1",
				RequestHeaders:  &HeaderChanges{Set: map[string]string{"x-real-ip": "%CLIENT_IP%"}, Add: map[string]string{"x-a": "b"}, Remove: []string{"cookie"}},
				ResponseHeaders: &HeaderChanges{Set: map[string]string{}, Add: map[string]string{}, Remove: []string{"server"}},
				Timeout:         0, Host: "endpoint", SlowThreshold: 90 * time.Minute, Traces: &RouteTraces{Sample: 0.5},
				Retry: &Retry{
					On: []string{"retriable-status-codes", "retriable-headers", "5xx"}, Statuses: []int{429, 503}, Headers: []string{"x-retry"},
					Attempts: 4, PerTryTimeout: 2 * time.Second, Backoff: RetryBackoff{50 * time.Millisecond, time.Second},
					Budget: &RetryBudget{Percent: 12.5},
				},
				Hedge: &Hedge{200 * time.Millisecond, 3}, Subset: map[string]string{"version": "v2"},
				IdleTimeout:       90 * time.Second,
				Priority:          "high",
				InternalRedirects: &InternalRedirects{Max: 3, Codes: []int{301, 307}, CrossScheme: true, CopyHeaders: []string{"x-why"}},
				Mirror:            []Mirror{{Cluster: "c.1", Percent: 5.5, Timeout: 2 * time.Second, MaxRequests: 7, MaxBehind: "64KiB"}},
				StatefulSession:   &StatefulSession{&SessionCookie{"srv", "/cart", time.Hour}, nil, true},
				RoutePolicies: RoutePolicies{
					BasicAuth:   &BasicAuth{File: "users.htpasswd", Realm: "the shop", UsernameHeader: "x-user"},
					Body:        &Body{"10MiB", true},
					ErrorBodies: []ErrorBody{{Statuses: []string{"503"}, Body: "later\n", ContentType: "text/html", Endpoints: true}, {JSON: `{"error":"sorry"}`}},
					Compress:    &Compress{Algorithms: []string{"gzip", "br"}, Types: []string{"application/json", "text/*"}},
					CORS: &CORS{
						AllowOrigins: []string{"https://a.example.com", `regex:https://.*\.example\.com`}, AllowMethods: []string{"PUT"},
						AllowHeaders: []string{"content-type"}, ExposeHeaders: []string{"x-a"}, MaxAge: time.Hour, AllowCredentials: true,
					},
					Fault:      &Fault{Delay: &FaultDelay{300 * time.Millisecond, 1}, Abort: &FaultAbort{500, 13, 0.1}, Headers: true},
					Upgrades:   []string{"websocket", "a/1"},
					Bandwidth:  &Bandwidth{"1MiB", "2MiB"},
					Decompress: &Decompress{[]string{"gzip"}, "5MiB"},

					EarlyData:           &EarlyData{"none"},
					MaxRequests:         200,
					AdaptiveConcurrency: &AdaptiveConcurrency{90, 500, 5, 200 * time.Millisecond, MinRTT{30 * time.Second, 100, 10, 50, 10 * time.Millisecond}},
					AdmissionControl:    &AdmissionControl{time.Minute, 90, 1.5, 5, 70, []string{"200-399", "404"}, []int{0, 5}},
					Queue:               &Queue{20, 250 * time.Millisecond, "priority"},
					Shed:                &Shed{429, 5 * time.Second},
				},
			},
				fullAction(func(r *Route) {
					r.Cluster, r.Transcode = "c.1", &Transcode{
						Descriptors: "shop.pb", Services: []string{"shop.Cart"}, AutoMapping: true, RejectUnknownMethods: true,
						IgnoredQueryParameters: []string{"api_key"}, IgnoreUnknownQueryParameters: true, MaxMessage: "1MiB",
						Print: TranscodePrint{true, true, true, true},
					}
				}),
				fullAction(func(r *Route) {
					r.Redirect = &Redirect{Scheme: "https", Host: "a.test", Port: 8443, Path: "/new?a=b", StripQuery: true, Code: 308}
				}),
				fullAction(func(r *Route) { r.Redirect = &Redirect{PathPrefix: "/new", Code: 301} }),
				fullAction(func(r *Route) { r.Redirect = &Redirect{PathRegex: "/(a)", Substitution: `/\1`, Code: 301} }),
				fullAction(func(r *Route) {
					r.Answer = &Answer{Status: 503, Headers: map[string]string{"x-a": "b"}, Body: "no\n"}
				}),
				fullAction(func(r *Route) { r.Answer = &Answer{Status: 200, Headers: map[string]string{}, File: "robots.txt"} }),
				fullAction(func(r *Route) {
					r.Answer = &Answer{Status: 200, Headers: map[string]string{}, JSON: `{"ok":true}`}
				}),
				fullAction(func(r *Route) { r.Cluster, r.Rewrite = "c.1", &Rewrite{PathPrefix: "/new", Host: "a.test"} }),
				fullAction(func(r *Route) {
					r.Cluster, r.Rewrite = "c.1", &Rewrite{PathRegex: "/(a)", Substitution: `/\1`, HostFromHeader: "x-host", Location: true, Cookies: true}
				}),
				fullAction(func(r *Route) {
					r.Match.PathTemplate, r.Cluster, r.Rewrite = "/{id}", "c.1", &Rewrite{PathTemplate: "/a/{id}"}
				}),
				fullAction(func(r *Route) {
					r.Split = []SplitTarget{{Cluster: "c.1", Weight: 90}, {
						Cluster: "c.1", Weight: 10, Variant: "beta",
						RequestHeaders:  &HeaderChanges{Set: map[string]string{"x-variant": "b"}, Add: map[string]string{}},
						ResponseHeaders: &HeaderChanges{Set: map[string]string{}, Add: map[string]string{}, Remove: []string{"x-a"}},
					}}
					r.Sticky = &Sticky{Cookie: &StickyCookie{Name: "variant", TTL: time.Hour, Path: "/cart"}}
				}),
				fullAction(func(r *Route) {
					r.Name, r.Split = "canary", []SplitTarget{{Cluster: "c.1", Weight: 90}, {Cluster: "c.1", Weight: 10, Variant: "beta"}}
					r.Guard = &Guard{Canary: "beta", MinRequests: 300, MaxErrorRateOverStable: 0.01, MaxP99OverStable: 2, Window: 10 * time.Minute, Then: 1}
				}),
				fullAction(func(r *Route) {
					r.Split, r.Sticky = []SplitTarget{{Cluster: "c.1", Weight: 1}}, &Sticky{Header: "x-user"}
				}),
				fullAction(func(r *Route) {
					r.Split, r.Sticky = []SplitTarget{{Cluster: "c.1", Weight: 1}}, &Sticky{Source: true}
				}),
				fullAction(func(r *Route) {
					r.ClusterHeader, r.AllowClusters, r.StatefulSession = "x-cluster", []string{"c.1"}, NewHeaderSession("x-session")
				}),
			},
			ForwardProxy: &ForwardProxy{
				Allow: []ForwardAllow{{
					Clients:      []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
					Destinations: []string{"*.example.com:443", "[fd00::/8]:80"},
				}},
				Deny:           []string{"10.9.0.0/16", "*.internal:22"},
				ConnectTimeout: time.Millisecond,
			},
			Forwarded:         Forwarded{TrustedProxies: 2, XForwarded: "cut", RFC7239: "append"},
			ForwardClientCert: "sanitize_set",
			Via:               false, ProxyStatus: "cut", ServerTiming: "append", ErrorPages: []ErrorPage{{[]string{"404", "500-599"}, "sorry.html"}},
			Catalog:        "consul",
			TrustedCallers: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		}}},
		Clusters: fullSources(),
		Consul:   Consul{Address: "agent:8500", Token: "t0ps3cret", TLS: &ConsulTLS{}},
		Catalog: Catalog{
			Suffixes: []string{"service.consul", "mesh"}, Like: "c.1", Auth: map[string]BasicAuth{"staff": {File: "staff.htpasswd", Realm: "admin"}},
		},
		Discovery: Discovery{Cache: "/var/lib/hopscope/discovery.json", MaxAge: time.Hour},
		Register: Register{&RegisterConsul{
			Name: "shop-web", ID: "shop-web-1", Address: "10.0.0.7", Port: 8443, Tags: []string{"v2"}, Meta: map[string]string{"env": "prod"}, Weight: 10, Names: []string{"shop"},
			Check: &RegisterCheck{HTTP: "http://127.0.0.1:3000/health", Interval: 10 * time.Second, Timeout: 2 * time.Second, DeregisterAfter: time.Hour},
		}},
		Locality: Locality{"eu", "eu-1"}, UpgradeSocket: "@hopscope", HugePages: true,
		Telemetry: Telemetry{
			Traces: Traces{
				OTLP: &OTLP{Protocol: "http/protobuf", Endpoint: "https://collector/otlp/v1/traces",
					Headers: map[string]string{"authorization": "Bearer t0ps3cret"}, Timeout: 5 * time.Second, Compression: "gzip",
					TLS: &CollectorTLS{CA: "ca.pem", Cert: "me.pem", Key: "me.key", ServerName: "collector.internal", InsecureSkipVerify: true}},
				Zipkin: &Zipkin{URL: "https://user:t0ps3cret@zipkin/api/v2/spans?key=t0ps3cret&x=", Timeout: 6 * time.Second},
				Exporters: []Exporter{
					{OTLP: &OTLP{Protocol: "grpc", Endpoint: "[::1]:4317", Headers: map[string]string{"authorization": "Bearer t0ps3cret"},
						Timeout: 10 * time.Second, Compression: "none", TLS: &CollectorTLS{}}},
					{OTLP: NewOTLP("collector:4317")},
					{Zipkin: NewZipkin("http://user:t0ps3cret@zipkin:9411")},
				},
				Sample: 0.001, MaxPerSecond: 2.5, Inject: []string{"b3multi", "b3"},
			},
			ResourceAttributes: map[string]string{"deployment.environment.name": "prod"},
			AccessLog: AccessLog{
				AccessLogTo{Path: "/var/log/hop.log", Fields: []string{"time", "status"}, Only: "failed_or_slow", Sample: 0.25},
				[]AccessLogTo{
					{Path: "stderr", Format: "%START_TIME% %RESPONSE_CODE%\n", Only: "failed", Sample: 0.5},
					{Path: "stdout", Fields: []string{"path"}, Only: "all", Sample: 1},
					{Path: "off", OTLP: NewOTLP("logs:4317"), Format: "%PROTOCOL%", Only: "all", Sample: 1},
					{Path: "off", ALS: &ALS{Address: "als:5000", LogName: "shop", Timeout: 3 * time.Second, TLS: true}, Only: "all", Sample: 1},
					{Path: "/var/log/hop.json", JSONFormat: `{"z":"%RESPONSE_CODE%","a":{"list":["%PROTOCOL%",1,1.5,true,null],"empty":{}}}`, Only: "all", Sample: 1},
				},
			},
		},
		Deadlines: Deadlines{MarginPercent: 2.5, MarginMin: 20 * time.Millisecond},
		Overload:  Overload{MaxMemoryBytes: 64 << 20}, Log: Log{Level: "debug"},
	}
	if d := diff(want, mustParse(t, full)); d != "" {
		t.Error(d)
	}
}

// fullSources are the clusters of full.
func fullSources() map[string]Cluster {
	clusters := map[string]Cluster{"c.1": fullCluster()}
	add := func(name string, set func(*Cluster)) {
		c := NewCluster()
		set(&c)
		clusters[name] = c
	}
	add("static", func(c *Cluster) {
		c.Static = []StaticEndpoint{
			{Address: "a:80", Weight: 3, Priority: 1, Region: "eu", Zone: "eu-1", Metadata: map[string]string{"version": "v2"}},
			{Address: "b:80", Weight: 1, Metadata: map[string]string{}},
		}
	})
	add("consul", func(c *Cluster) {
		c.Consul = &Consul{
			Address: "[::1]:8501", TokenFile: "consul.token", Datacenter: "dc1", Namespace: "shop", Partition: "default", Stale: true, Wait: time.Minute,
			TLS:     &ConsulTLS{CA: "ca.pem", Cert: "me.pem", Key: "me.key", ServerName: "server.dc1.consul", InsecureSkipVerify: true},
			Service: "payments", Tags: []string{"v2", "primary"}, Filter: `Service.Meta.env == "prod"`, Near: "_agent", OnlyPassing: true,
			Failover: []string{"dc2", "dc3"},
		}
	})
	add("query", func(c *Cluster) { c.Consul = &Consul{Query: "nearest-payments"} })
	add("dns", func(c *Cluster) {
		c.DNS = &DNS{Name: "legacy.internal", Port: 8080, Type: "a", Mode: "logical", Resolver: "10.0.0.53:53", Refresh: time.Second,
			MinTTL: 2 * time.Second, MaxTTL: time.Minute}
	})
	add("srv", func(c *Cluster) {
		c.DNS = NewDNS("_http._tcp.legacy.internal", 0)
		c.DNS.Type = "srv"
	})
	add("file", func(c *Cluster) { c.File = &EndpointFile{"endpoints.yaml"} })
	return clusters
}

func fullCluster() Cluster {
	retry, tcp, grpc := NewRetry("connect-failure", "unavailable"), NewHealthCheck(), NewHealthCheck()
	tcp.TCP, grpc.GRPC = &TCPCheck{"PING", "PONG"}, &GRPCCheck{"web", "web.internal"}
	return Cluster{
		Endpoints: []string{"web:80", "[::1]:81"}, Protocol: "http2", ConnectTimeout: 1500 * time.Millisecond,
		TLS: &ClusterTLS{CA: "ca.pem", SNI: "api.internal", Cert: "me.pem", Key: "me.key", SAN: []string{"spiffe://mesh"},
			SPKI: []string{"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}, CRL: "/crl.der", InsecureSkipVerify: true,
			MinVersion: "1.2", MaxVersion: "1.2"},
		HTTP2: HTTP2{MaxConcurrentStreams: 1_000_000, StreamWindow: 65536, KeepAliveTimeout: 20 * time.Second,
			MaxResets: 200, MaxControlFrames: 2000},
		PeerService: "payments", IdleTimeout: 4 * time.Second, CircuitBreaker: CircuitBreaker{Thresholds{MaxConnections: 1, MaxRequests: 2}, Thresholds{3, 4, 5, 6}},
		MaxHeaderBytes: 2048, MaxHeaderFields: 2,
		Balance: Balance{
			Policy: "ring_hash",
			Hash: []HashOn{
				{Header: "x-user", CookiePath: "/", Terminal: true}, {Cookie: "session", CookieTTL: time.Hour, CookiePath: "/shop"},
				{Query: "user", CookiePath: "/"}, {Source: true, CookiePath: "/"}, {Path: true, CookiePath: "/"},
			},
			Choices: 3, ActiveRequestBias: 0.5, MinRingSize: 100, MaxRingSize: 200, TableSize: 101, BoundedLoad: 1.25, Decay: 5 * time.Second,
			DefaultRTT: time.Microsecond, Overprovisioning: 2, ZoneAware: true, MinZoneEndpoints: 1,
			SlowStart: &SlowStart{Window: time.Minute, Aggression: 2, MinPercent: 5},
			Subsets: &Subsets{Selectors: []Selector{{[]string{"version"}}, {[]string{"version", "stage"}}}, Fallback: "default",
				Default: map[string]string{"version": "v1"}},
		},
		Retry: retry, Hedge: NewHedge(time.Second),
		Outlier: &Outlier{
			ConsecutiveGateway: 6, ConsecutiveLocalOrigin: 7, SplitLocalOrigin: true, Interval: time.Second, BaseEjection: 2 * time.Second,
			MaxEjection: 3 * time.Second, MaxEjectedPercent: 100,
			SuccessRate:       OutlierSuccessRate{MinEndpoints: 3, MinRequests: 4, StdevFactor: 2.5},
			FailurePercentage: OutlierFailurePercentage{Enabled: true, Threshold: 50, MinEndpoints: 8, MinRequests: 9},
		},
		HealthChecks: []HealthCheck{{
			HTTP: &HTTPCheck{Path: "/health?full=1", Method: "HEAD", Host: "health.internal", Headers: map[string]string{"authorization": "Bearer t0ps3cret"},
				Statuses: []string{"200", "204", "300-399"}, Body: "ok"},
			Port: 9000, Interval: 6 * time.Second, Timeout: 2 * time.Second, UnhealthyThreshold: 1, HealthyThreshold: 4, NoTrafficInterval: 30 * time.Second,
		}, tcp, grpc},
	}
}

// TestFullIsFull finds the keys that have their default all over full.
func TestFullIsFull(t *testing.T) {
	other := make(map[string]bool) // "Struct.key": somewhere not the default
	var walk func(reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Map:
			for _, name := range v.MapKeys() {
				walk(v.MapIndex(name))
			}
		case reflect.Struct:
			if kindOf(v.Type()) != kindStruct {
				return
			}
			defaults := reflect.New(v.Type()).Elem()
			setDefaults(defaults)
			for _, k := range keysOf(v.Type()) {
				of := k.owner + "." + k.name
				other[of] = other[of] || !reflect.DeepEqual(v.FieldByIndex(k.index).Interface(), defaults.FieldByIndex(k.index).Interface())
				walk(v.FieldByIndex(k.index))
			}
		}
	}
	walk(reflect.ValueOf(mustParse(t, full)).Elem())
	for of, ok := range other {
		switch of {
		case "RegisterCheck.tcp", "RegisterCheck.grpc": // of one registration, http alone can be there
			continue
		case "AccessLog.als", "AccessLog.otlp": // they are in other logs
			continue
		case "AccessLog.format", "AccessLog.json_format": // they can't be there beside the fields
			continue
		case "ListenerHTTP.trace_link": // it can't be there with proxy_status other than its default
			continue
		case "ListenerTLS.max_version", "ClusterTLS.min_version": // the other of the pair is
			continue
		case "Admin.insecure": // there are tokens
			continue
		}
		if !ok {
			t.Errorf("%s is nowhere other than its default", of)
		}
	}
	if len(other) < 200 {
		t.Errorf("only %d keys were found", len(other))
	}
}
