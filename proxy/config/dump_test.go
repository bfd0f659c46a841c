package config

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// dumpOfDefaults is what a cluster has behind its source.
const dumpOfDefaults = `    balance:
      policy: round_robin
      choices: 2
      active_request_bias: 1
      min_ring_size: 1024
      max_ring_size: 8388608
      table_size: 65537
      bounded_load: 0
      decay: 10s
      default_rtt: 30ms
      panic_threshold: 50
      overprovisioning: 1.4
      zone_aware: false
      min_zone_endpoints: 6
    circuit_breaker:
      max_connections: 1024
      max_pending: 1024
      max_requests: 1024
      max_retries: 3
      high:
        max_connections: 1024
        max_pending: 1024
        max_requests: 1024
        max_retries: 3
    protocol: auto
    http2:
      max_concurrent_streams: 100
      stream_window: 65536
      keep_alive: 0s
      keep_alive_timeout: 20s
      max_resets: 200
      max_control_frames: 2000
    connect_timeout: 5s
    idle_timeout: 1h
    learn_idle_timeout: true
    max_idle: 256
    max_header_bytes: 61440
    max_header_fields: 100
`

func TestDumpYAML(t *testing.T) {
	c := mustParse(t, full)
	want := `service: shop
admin:
  address: 127.0.0.1:9902
  token_file: read.token
  control_token_file: control.token
  tls:
    cert: admin.pem
    key: admin.key
    client_ca: ca.pem
    client_san: ["*.example.com"]
    control_san: [ops.example.com]
  open: [metrics]
  insecure: false
mesh:
  name: shop
  instance: web-1
  peers: [10.0.0.2:9901, "[::1]:9901"]
  consul:
    address: 10.0.0.1
  dns:
    name: hopscope.internal
    port: 9902
    resolver: 10.0.0.53:53
  token_file: mesh.token
  tls:
    ca: ca.pem
    cert: mesh.pem
    key: mesh.key
    san: [spiffe://mesh]
listeners:
  - name: in
    address: "[::1]:0"
    tls:
      certificates:
        - cert: web.pem
          key: web.key
        - cert: /etc/b.pem
          key: /etc/b.key
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
    request_head_timeout: 1s
    idle_timeout: 2s
    stream_idle_timeout: 3s
    abort_on_close: never
    max_connection_age: 1h
    max_connection_age_grace: 5m
    max_connections: 7
    max_header_bytes: 1024
    max_header_fields: 1
    direction: outbound
    path:
      normalize: false
      merge_slashes: false
      escaped_slashes: unescape
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
            x-a:
              exact: beta
              ignore_case: true
              present: false
              absent: false
            x-b:
              prefix: b
              ignore_case: false
              present: false
              absent: false
            x-c:
              suffix: "1"
              ignore_case: false
              present: false
              absent: false
            x-d:
              contains: c
              ignore_case: false
              present: false
              absent: false
            x-e:
              regex: "curl/.*"
              ignore_case: false
              present: false
              absent: false
            x-f:
              range: [100, 200]
              ignore_case: false
              present: false
              absent: false
            x-g:
              ignore_case: false
              present: true
              absent: false
            x-h:
              ignore_case: false
              present: false
              absent: true
            x-i:
              ignore_case: false
              present: false
              absent: false
              not:
                exact: a
                ignore_case: false
          query:
            v:
              exact: "2"
              ignore_case: false
              present: false
              absent: false
          cookies:
            group:
              prefix: b
              ignore_case: false
              present: false
              absent: false
          clients: [10.0.0.0/8]
          identities: ["spiffe://mesh/ns/web/*"]
          grpc:
            service: shop.Cart
            method: Add
          percent: 12.5
          not:
            methods: [PUT]
        cluster: c.1
        internal_redirects:
          max: 3
          codes: [301, 307]
          cross_scheme: true
          copy_headers: [x-why]
        request_headers:
          set:
            x-real-ip: "%CLIENT_IP%"
          add:
            x-a: b
          remove: [cookie]
        response_headers:
          remove: [server]
        mirror:
          - cluster: c.1
            percent: 5.5
            timeout: 2s
            max_requests: 7
            max_behind: "64KiB"
        timeout: 0s
        idle_timeout: 1m30s
        priority: high
        retry:
          "on": [retriable-status-codes, retriable-headers, "5xx"]
          statuses: [429, 503]
          headers: [x-retry]
          attempts: 4
          per_try_timeout: 2s
          backoff:
            base: 50ms
            max: 1s
          budget:
            percent: 12.5
            min: 0
          max_body: 0
        hedge:
          after: 200ms
          attempts: 3
        subset:
          version: v2
        stateful_session:
          cookie:
            name: srv
            path: /cart
            ttl: 1h
          strict: true
        host: endpoint
        slow_threshold: 1h30m
        traces:
          sample: 0.5
        basic_auth:
          file: users.htpasswd
          realm: "the shop"
          username_header: x-user
          forward: false
        bandwidth:
          request: "1MiB"
          response: "2MiB"
        body:
          max: "10MiB"
          buffer: true
        compress:
          algorithms: [gzip, br]
          min_bytes: 0
          types: [application/json, "text/*"]
        cors:
          allow_origins: [https://a.example.com, "regex:https://.*\\.example\\.com"]
          allow_methods: [PUT]
          allow_headers: [content-type]
          expose_headers: [x-a]
          max_age: 1h
          allow_credentials: true
        error_bodies:
          - statuses: ["503"]
            body: "later\n"
            content_type: text/html
            endpoints: true
          - json:
              error: sorry
            endpoints: false
        decompress:
          algorithms: [gzip]
          max: "5MiB"
        fault:
          delay:
            fixed: 300ms
            percent: 1
          abort:
            status: 500
            grpc_status: 13
            percent: 0.1
          headers: true
        upgrades: [websocket, a/1]
        early_data:
          allow: none
        max_requests: 200
        adaptive_concurrency:
          percentile: 90
          max_concurrency: 500
          min_concurrency: 5
          update_interval: 200ms
          min_rtt:
            interval: 30s
            requests: 100
            jitter: 10
            buffer: 50
            fixed: 10ms
        admission_control:
          sampling_window: 1m
          success_rate_threshold: 90
          aggression: 1.5
          rps_threshold: 5
          max_rejection_percent: 70
          success_statuses: ["200-399", "404"]
          success_grpc_statuses: [0, 5]
        queue:
          max: 20
          max_wait: 250ms
          priority_header: priority
        shed:
          status: 429
          retry_after: 5s
      - match:
          percent: 100
        cluster: c.1
        timeout: 15s
        idle_timeout: 0s
        priority: default
        slow_threshold: 0s
        max_requests: 0
        transcode:
          descriptors: shop.pb
          services: [shop.Cart]
          auto_mapping: true
          reject_unknown_methods: true
          ignored_query_parameters: [api_key]
          ignore_unknown_query_parameters: true
          convert_grpc_status: false
          max_message: "1MiB"
          print:
            add_whitespace: true
            always_print_primitive_fields: true
            always_print_enums_as_ints: true
            preserve_proto_field_names: true
      - match:
          percent: 100
        redirect:
          scheme: https
          host: a.test
          port: 8443
          path: "/new?a=REDACTED"
          strip_query: true
          code: 308
        timeout: 15s
        idle_timeout: 0s
        priority: default
        slow_threshold: 0s
        max_requests: 0
      - match:
          percent: 100
        redirect:
          port: 0
          path_prefix: /new
          strip_query: false
          code: 301
        timeout: 15s
        idle_timeout: 0s
        priority: default
        slow_threshold: 0s
        max_requests: 0
      - match:
          percent: 100
        redirect:
          port: 0
          path_regex: "/(a)"
          substitution: "/\\1"
          strip_query: false
          code: 301
        timeout: 15s
        idle_timeout: 0s
        priority: default
        slow_threshold: 0s
        max_requests: 0
      - match:
          percent: 100
        answer:
          status: 503
          headers:
            x-a: b
          body: "no\n"
        timeout: 15s
        idle_timeout: 0s
        priority: default
        slow_threshold: 0s
        max_requests: 0
      - match:
          percent: 100
        answer:
          status: 200
          file: robots.txt
        timeout: 15s
        idle_timeout: 0s
        priority: default
        slow_threshold: 0s
        max_requests: 0
      - match:
          percent: 100
        answer:
          status: 200
          json:
            ok: true
        timeout: 15s
        idle_timeout: 0s
        priority: default
        slow_threshold: 0s
        max_requests: 0
      - match:
          percent: 100
        cluster: c.1
        rewrite:
          path_prefix: /new
          host: a.test
          location: false
          cookies: false
        timeout: 15s
        idle_timeout: 0s
        priority: default
        slow_threshold: 0s
        max_requests: 0
      - match:
          percent: 100
        cluster: c.1
        rewrite:
          path_regex: "/(a)"
          substitution: "/\\1"
          host_from_header: x-host
          location: true
          cookies: true
        timeout: 15s
        idle_timeout: 0s
        priority: default
        slow_threshold: 0s
        max_requests: 0
      - match:
          path_template: "/{id}"
          percent: 100
        cluster: c.1
        rewrite:
          path_template: "/a/{id}"
          location: false
          cookies: false
        timeout: 15s
        idle_timeout: 0s
        priority: default
        slow_threshold: 0s
        max_requests: 0
      - match:
          percent: 100
        split:
          - cluster: c.1
            weight: 90
          - cluster: c.1
            weight: 10
            variant: beta
            request_headers:
              set:
                x-variant: b
            response_headers:
              remove: [x-a]
        sticky:
          cookie:
            name: variant
            ttl: 1h
            path: /cart
          source: false
        timeout: 15s
        idle_timeout: 0s
        priority: default
        slow_threshold: 0s
        max_requests: 0
      - name: canary
        match:
          percent: 100
        split:
          - cluster: c.1
            weight: 90
          - cluster: c.1
            weight: 10
            variant: beta
        guard:
          canary: beta
          min_requests: 300
          max_error_rate_over_stable: 0.01
          max_p99_over_stable: 2
          window: 10m
          then: 1
        timeout: 15s
        idle_timeout: 0s
        priority: default
        slow_threshold: 0s
        max_requests: 0
      - match:
          percent: 100
        split:
          - cluster: c.1
            weight: 1
        sticky:
          header: x-user
          source: false
        timeout: 15s
        idle_timeout: 0s
        priority: default
        slow_threshold: 0s
        max_requests: 0
      - match:
          percent: 100
        split:
          - cluster: c.1
            weight: 1
        sticky:
          source: true
        timeout: 15s
        idle_timeout: 0s
        priority: default
        slow_threshold: 0s
        max_requests: 0
      - match:
          percent: 100
        cluster_header: x-cluster
        allow_clusters: [c.1]
        timeout: 15s
        idle_timeout: 0s
        priority: default
        stateful_session:
          header:
            name: x-session
          strict: false
        slow_threshold: 0s
        max_requests: 0
    catalog: consul
    trusted_callers: [10.0.0.0/8]
    forward_proxy:
      allow:
        - clients: [10.0.0.0/8, "fd00::/8"]
          destinations: ["*.example.com:443", "[fd00::/8]:80"]
      deny: [10.9.0.0/16, "*.internal:22"]
      connect_timeout: 1ms
      timeout: 0s
    grpc_web: false
    forwarded:
      trusted_proxies: 2
      x_forwarded: cut
      rfc7239: append
    forward_client_cert: sanitize_set
    via: false
    proxy_status: cut
    server_timing: append
    error_pages:
      - statuses: ["404", "500-599"]
        file: sorry.html
clusters:
  c.1:
    endpoints: [web:80, "[::1]:81"]
    peer_service: payments
    balance:
      policy: ring_hash
      hash:
        - header: x-user
          cookie_ttl: 0s
          cookie_path: /
          source: false
          path: false
          terminal: true
        - cookie: session
          cookie_ttl: 1h
          cookie_path: /shop
          source: false
          path: false
          terminal: false
        - cookie_ttl: 0s
          cookie_path: /
          query: user
          source: false
          path: false
          terminal: false
        - cookie_ttl: 0s
          cookie_path: /
          source: true
          path: false
          terminal: false
        - cookie_ttl: 0s
          cookie_path: /
          source: false
          path: true
          terminal: false
      choices: 3
      active_request_bias: 0.5
      min_ring_size: 100
      max_ring_size: 200
      table_size: 101
      bounded_load: 1.25
      decay: 5s
      default_rtt: "1µs"
      panic_threshold: 0
      overprovisioning: 2
      zone_aware: true
      min_zone_endpoints: 1
      slow_start:
        window: 1m
        aggression: 2
        min_percent: 5
      subsets:
        selectors:
          - keys: [version]
          - keys: [version, stage]
        fallback: default
        default:
          version: v1
    retry:
      "on": [connect-failure, unavailable]
      attempts: 2
      per_try_timeout: 0s
      backoff:
        base: 25ms
        max: 250ms
      max_body: 65536
    hedge:
      after: 1s
      attempts: 2
    circuit_breaker:
      max_connections: 1
      max_pending: 0
      max_requests: 2
      max_retries: 0
      high:
        max_connections: 3
        max_pending: 4
        max_requests: 5
        max_retries: 6
    outlier:
      consecutive_5xx: 0
      consecutive_gateway: 6
      consecutive_local_origin: 7
      split_local_origin: true
      interval: 1s
      base_ejection: 2s
      max_ejection: 3s
      max_ejected_percent: 100
      success_rate:
        enabled: false
        min_endpoints: 3
        min_requests: 4
        stdev_factor: 2.5
      failure_percentage:
        enabled: true
        threshold: 50
        min_endpoints: 8
        min_requests: 9
    health_checks:
      - http:
          path: "/health?full=REDACTED"
          method: HEAD
          host: health.internal
          headers:
            authorization: REDACTED
          statuses: ["200", "204", "300-399"]
          body: ok
        port: 9000
        interval: 6s
        timeout: 2s
        unhealthy_threshold: 1
        healthy_threshold: 4
        no_traffic_interval: 30s
      - tcp:
          send: PING
          receive: PONG
        port: 0
        interval: 5s
        timeout: 1s
        unhealthy_threshold: 3
        healthy_threshold: 2
        no_traffic_interval: 1m
      - grpc:
          service: web
          authority: web.internal
        port: 0
        interval: 5s
        timeout: 1s
        unhealthy_threshold: 3
        healthy_threshold: 2
        no_traffic_interval: 1m
    protocol: http2
    tls:
      ca: ca.pem
      sni: api.internal
      cert: me.pem
      key: me.key
      san: [spiffe://mesh]
      spki: ["47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="]
      crl: /crl.der
      insecure_skip_verify: true
      min_version: "1.2"
      max_version: "1.2"
    http2:
      max_concurrent_streams: 1000000
      stream_window: 65536
      keep_alive: 0s
      keep_alive_timeout: 20s
      max_resets: 200
      max_control_frames: 2000
    connect_timeout: "1.5s"
    idle_timeout: 4s
    learn_idle_timeout: false
    max_idle: 0
    max_header_bytes: 2048
    max_header_fields: 2
  consul:
    consul:
      address: "[::1]:8501"
      token_file: consul.token
      tls:
        ca: ca.pem
        cert: me.pem
        key: me.key
        server_name: server.dc1.consul
        insecure_skip_verify: true
      datacenter: dc1
      namespace: shop
      partition: default
      stale: true
      wait: 1m
      service: payments
      tags: [v2, primary]
      filter: "Service.Meta.env == \"prod\""
      near: "_agent"
      only_passing: true
      failover: [dc2, dc3]
    ...
  dns:
    dns:
      name: legacy.internal
      port: 8080
      type: a
      mode: logical
      resolver: 10.0.0.53:53
      refresh: 1s
      min_ttl: 2s
      max_ttl: 1m
    ...
  file:
    file:
      path: endpoints.yaml
    ...
  query:
    consul:
      stale: false
      wait: 0s
      query: nearest-payments
      only_passing: false
    ...
  srv:
    dns:
      name: "_http._tcp.legacy.internal"
      port: 0
      type: srv
      mode: strict
      refresh: 5s
      min_ttl: 1s
      max_ttl: 1h
    ...
  static:
    static:
      - address: a:80
        weight: 3
        priority: 1
        region: eu
        zone: eu-1
        metadata:
          version: v2
      - address: b:80
        weight: 1
        priority: 0
    ...
consul:
  address: agent:8500
  token: REDACTED
  tls:
    insecure_skip_verify: false
  stale: false
  wait: 0s
  only_passing: false
catalog:
  suffixes: [service.consul, mesh]
  like: c.1
  timeout: 0s
  auth:
    staff:
      file: staff.htpasswd
      realm: admin
      forward: false
discovery:
  cache: /var/lib/hopscope/discovery.json
  max_age: 1h
register:
  consul:
    name: shop-web
    id: shop-web-1
    address: 10.0.0.7
    port: 8443
    tags: [v2]
    meta:
      env: REDACTED
    weight: 10
    check:
      http: http://127.0.0.1:3000/health
      interval: 10s
      timeout: 2s
      deregister_after: 1h
    names: [shop]
    sidecar: false
locality:
  region: eu
  zone: eu-1
telemetry:
  traces:
    otlp:
      protocol: http/protobuf
      endpoint: https://collector/otlp/v1/traces
      headers:
        authorization: REDACTED
      timeout: 5s
      compression: gzip
      tls:
        ca: ca.pem
        cert: me.pem
        key: me.key
        server_name: collector.internal
        insecure_skip_verify: true
    zipkin:
      url: "https://REDACTED@zipkin/api/v2/spans?key=REDACTED&x="
      timeout: 6s
    exporters:
      - otlp:
          protocol: grpc
          endpoint: "[::1]:4317"
          headers:
            authorization: REDACTED
          timeout: 10s
          compression: none
          tls:
            insecure_skip_verify: false
      - otlp:
          protocol: grpc
          endpoint: collector:4317
          timeout: 10s
          compression: none
      - zipkin:
          url: "http://REDACTED@zipkin:9411"
          timeout: 10s
    sample: 0.001
    max_per_second: 2.5
    extract: []
    inject: [b3multi, b3]
  resource_attributes:
    deployment.environment.name: prod
  access_log:
    path: /var/log/hop.log
    fields: [time, status]
    only: failed_or_slow
    sample: 0.25
    also:
      - path: stderr
        format: "%START_TIME% %RESPONSE_CODE%\n"
        only: failed
        sample: 0.5
      - path: stdout
        fields: [path]
        only: all
        sample: 1
      - path: "off"
        otlp:
          protocol: grpc
          endpoint: logs:4317
          timeout: 10s
          compression: none
        format: "%PROTOCOL%"
        only: all
        sample: 1
      - path: "off"
        als:
          address: als:5000
          log_name: shop
          timeout: 3s
          tls: true
        only: all
        sample: 1
      - path: /var/log/hop.json
        json_format:
          z: "%RESPONSE_CODE%"
          a:
            list: ["%PROTOCOL%", 1, 1.5, true, null]
            empty: {}
        only: all
        sample: 1
  metrics:
    native_histograms: false
  slow_threshold: 0s
  learn_routes: false
  store:
    max_bytes: 0
deadlines:
  enabled: false
  margin_percent: 2.5
  margin_min: 20ms
  inherit: false
overload:
  max_memory_bytes: 67108864
drain:
  timeout: 0s
log:
  level: debug
upgrade_socket: "@hopscope"
huge_pages: true
`
	want = strings.ReplaceAll(want, "    ...\n", dumpOfDefaults)
	if d := cmp.Diff(want, string(c.DumpYAML())); d != "" {
		t.Error(d)
	}
}

func TestDumpHidesSecrets(t *testing.T) {
	c := mustParse(t, full)
	for _, dump := range [][]byte{c.DumpYAML(), c.DumpJSON()} {
		if bytes.Contains(dump, []byte("t0ps3cret")) {
			t.Errorf("a secret in\n%s", dump)
		}
	}
	if !bytes.Contains(c.yaml(false), []byte("t0ps3cret")) {
		t.Error("the test has no secret to find")
	}
	if c.Telemetry.Traces.OTLP.Headers["authorization"] != "Bearer t0ps3cret" {
		t.Error("the dump changed the configuration")
	}
}

func TestDumpReadsBack(t *testing.T) {
	for _, text := range []string{example, full, live} {
		c := mustParse(t, text)
		if d := diff(c, mustParse(t, string(c.yaml(false)))); d != "" {
			t.Error(d)
		}
		asJSON := jsonIndented(c.tree(false))
		if !json.Valid(asJSON) {
			t.Errorf("not JSON:\n%s", asJSON)
		}
		if d := diff(c, mustParse(t, string(asJSON))); d != "" {
			t.Error(d)
		}
	}
}

func TestDurationText(t *testing.T) {
	tests := map[time.Duration]string{
		0: "0s", time.Second: "1s", time.Minute: "1m", time.Hour: "1h", 90 * time.Minute: "1h30m",
		time.Hour + time.Second: "1h0m1s", 250 * time.Millisecond: "250ms", 10 * time.Minute: "10m",
		100 * time.Hour: "100h", -time.Minute: "-1m", 20 * time.Second: "20s",
	}
	for d, want := range tests {
		if got := durationText(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
		if back, err := time.ParseDuration(want); err != nil || back != d {
			t.Errorf("%s is %v, %v", want, back, err)
		}
	}
}

func TestYAMLString(t *testing.T) {
	for _, s := range []string{
		"", "a", "true", "Off", "null", "~", "0", "1s", "0x1F", "010", "1e3", "1h30m", "12", "1.5", "127.0.0.1:80", "1:2", "1.2.3:4",
		"a:b", "a:", "a: b", "a #b", "-", "- a", "*a", "&a", "!a", "%a", "@a", "[a]", "{a}", "a,b", "a\\b", `a"b`, "'", "é", "\u2028",
		"<<", "=", ".inf", "/a/b", "<&>", "2001-01-01", "a{b", "y", "0s", "00s", "?a",
	} {
		o := object{{"headers", object{{"k", s}}}}
		var b bytes.Buffer
		appendYAML(&b, object{{"telemetry", object{{"traces", object{{"otlp", append(object{{"endpoint", "a:1"}}, o...)}}}}}}, "")
		b.WriteString("listeners: [{name: a, address: ':0', forward_proxy: {}}]\n")
		c, err := Parse("f", b.Bytes())
		if s == "" || s == "\u2028" {
			if err == nil || strings.Contains(err.Error(), "syntax") {
				t.Errorf("%q: %v", s, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v\n%s", s, err, b.Bytes())
		} else if got := c.Telemetry.Traces.OTLP.Headers["k"]; got != s {
			t.Errorf("%q came back as %q", s, got)
		}
	}
}
