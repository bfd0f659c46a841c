package config

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDumpYAML(t *testing.T) {
	c := mustParse(t, full)
	want := `service: shop
admin:
  address: "off"
listeners:
  - name: in
    address: "[::1]:0"
    direction: outbound
    routes:
      - name: all
        match:
          path: /a
          path_prefix: /
          hosts: ["*.example.com", "[::1]"]
          methods: [GET, PURGE]
        cluster: c.1
        timeout: 0s
        host: endpoint
        slow_threshold: 1h30m
    catalog: none
    trusted_callers: [127.0.0.0/8, "::1/128"]
    forward_proxy:
      allow:
        - clients: [10.0.0.0/8, "fd00::/8"]
          destinations: ["*.example.com:443", "[fd00::/8]:80"]
      connect_timeout: 1ms
      timeout: 0s
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
    grpc_web: false
    forwarded:
      trusted_proxies: 2
      x_forwarded: cut
      rfc7239: append
    forward_client_cert: sanitize_set
    via: false
    proxy_status: cut
    server_timing: append
    request_head_timeout: 1s
    idle_timeout: 2s
    stream_idle_timeout: 3s
    max_connections: 7
    max_header_bytes: 1024
    max_header_fields: 1
clusters:
  c.1:
    endpoints: [web:80, "[::1]:81"]
    balance:
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
      max_connections: 1
      max_pending: 0
      max_requests: 1024
      max_retries: 3
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
    max_idle: 0
    max_header_bytes: 2048
    max_header_fields: 2
consul:
  stale: false
  wait: 0s
  only_passing: false
  mesh_gateway: none
catalog:
  timeout: 15s
telemetry:
  traces:
    otlp:
      endpoint: collector:4317
      headers:
        authorization: "[redacted]"
      timeout: 5s
      compression: gzip
      tls: true
    zipkin:
      url: "https://[redacted]@zipkin/api/v2/spans?key=[redacted]&x="
      timeout: 6s
    sample: 0.001
    extract: []
    inject: [b3multi, b3]
  access_log:
    path: /var/log/hop.log
  metrics:
    native_histograms: false
  slow_threshold: 0s
  store:
    max_bytes: 0
drain:
  timeout: 0s
log:
  level: debug
`
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
	for _, text := range []string{example, full} {
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
