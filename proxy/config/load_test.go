package config

import (
	"bytes"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// example is the file that the documentation shows.
const example = `service: web
admin: {address: 127.0.0.1:9901}
listeners:
  - name: ingress
    address: 0.0.0.0:8080
    routes:
      - match: {path_prefix: /api/}
        cluster: api
      - cluster: web            # everything else
clusters:
  web: {endpoints: [127.0.0.1:3000, 127.0.0.1:3001]}
  api: {endpoints: [127.0.0.1:4000], connect_timeout: 250ms}
telemetry:
  traces: {otlp: {endpoint: 127.0.0.1:4317}, sample: 0.01}
  access_log: {path: stdout}
`

// full has every key with something other than its default.
const full = `service: shop
admin: {address: "off"}
listeners:
  - name: in
    address: "[::1]:0"
    direction: outbound
    routes:
      - name: all
        match: {path: /a, path_prefix: /, hosts: ["*.example.com", "[::1]"], methods: [GET, PURGE]}
        cluster: c.1
        timeout: 0
        host: endpoint
        slow_threshold: 1h30m
    forward_proxy:
      allow:
        - {clients: [10.0.0.0/8, fd00::/8], destinations: ["*.example.com:443", "[fd00::/8]:80"]}
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
    request_head_timeout: 1s
    idle_timeout: 2s
    stream_idle_timeout: 3s
    max_connections: 7
    max_header_bytes: 1024
    max_header_fields: 1
clusters:
  c.1:
    endpoints: [web:80, "[::1]:81"]
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
    circuit_breaker: {max_connections: 1, max_pending: 0}
    max_idle: 0
    max_header_bytes: 2048
    max_header_fields: 2
telemetry:
  traces:
    otlp:
      endpoint: collector:4317
      headers: {authorization: "Bearer t0ps3cret"}
      timeout: 5s
      compression: gzip
      tls: true
    zipkin: {url: "https://user:t0ps3cret@zipkin/api/v2/spans?key=t0ps3cret&x=", timeout: 6s}
    sample: 1e-3
    extract: []
    inject: [b3multi, b3]
  access_log: {path: /var/log/hop.log}
  metrics: {native_histograms: false}
  slow_threshold: 0s
  store: {max_bytes: 0}
drain: {timeout: 0s}
log: {level: debug}
`

func mustParse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("hopscope.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// diff compares configurations.
func diff(want, got *Config) string {
	return cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{}))
}

func TestParseExample(t *testing.T) {
	want := New()
	want.Service = "web"
	in := NewListener("ingress", "0.0.0.0:8080")
	api := NewRoute("api")
	api.Match.PathPrefix = "/api/"
	in.Routes = []Route{api, NewRoute("web")}
	want.Listeners = []Listener{in}
	want.Clusters["web"] = NewCluster("127.0.0.1:3000", "127.0.0.1:3001")
	quick := NewCluster("127.0.0.1:4000")
	quick.ConnectTimeout = 250 * time.Millisecond
	want.Clusters["api"] = quick
	want.Telemetry.Traces.OTLP = NewOTLP("127.0.0.1:4317")
	want.Telemetry.Traces.Sample = 0.01

	got := mustParse(t, example)
	if d := diff(want, got); d != "" {
		t.Error(d)
	}
	if err := want.Validate(); err != nil {
		t.Errorf("the same, built in code: %v", err)
	}
}

func TestParseFull(t *testing.T) {
	want := &Config{
		Service: "shop",
		Admin:   Admin{Address: "off"},
		Listeners: []Listener{{
			Name: "in", Address: "[::1]:0", Direction: "outbound",
			Routes: []Route{{
				Name: "all",
				Match: Match{Path: "/a", PathPrefix: "/", Hosts: []string{"*.example.com", "[::1]"},
					Methods: []string{"GET", "PURGE"}},
				Cluster: "c.1", Timeout: 0, Subset: map[string]string{}, Host: "endpoint", SlowThreshold: 90 * time.Minute,
			}},
			ForwardProxy: &ForwardProxy{
				Allow: []ForwardAllow{{
					Clients:      []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
					Destinations: []string{"*.example.com:443", "[fd00::/8]:80"},
				}},
				ConnectTimeout: time.Millisecond,
			},
			TLS: &ListenerTLS{
				Certificates: []Certificate{{"web.pem", "web.key"}, {"/etc/b.pem", "/etc/b.key"}},
				ClientAuth:   "require", ClientCA: "ca.pem", ClientSAN: []string{"spiffe://mesh/ns/default/*", "*.example.com"},
				CRL: "crl.pem", MinVersion: "1.3", MaxVersion: "1.3", ALPN: []string{"http/1.1"}, HandshakeTimeout: 8 * time.Second,
			},
			HTTP2: HTTP2{MaxConcurrentStreams: 1, StreamWindow: 65535, KeepAlive: 9 * time.Second, KeepAliveTimeout: time.Second,
				MaxResets: 1, MaxControlFrames: 2},
			Forwarded:         Forwarded{TrustedProxies: 2, XForwarded: "cut", RFC7239: "append"},
			ForwardClientCert: "sanitize_set",
			Via:               false, ProxyStatus: "cut", ServerTiming: "append",
			RequestHeadTimeout: time.Second, IdleTimeout: 2 * time.Second, StreamIdleTimeout: 3 * time.Second,
			MaxConnections: 7, MaxHeaderBytes: 1024, MaxHeaderFields: 1, Catalog: "none",
			TrustedCallers: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		}},
		Clusters: map[string]Cluster{"c.1": {
			Endpoints: []string{"web:80", "[::1]:81"}, Protocol: "http2", ConnectTimeout: 1500 * time.Millisecond,
			TLS: &ClusterTLS{CA: "ca.pem", SNI: "api.internal", Cert: "me.pem", Key: "me.key", SAN: []string{"spiffe://mesh"},
				SPKI: []string{"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}, CRL: "/crl.der", InsecureSkipVerify: true,
				MinVersion: "1.2", MaxVersion: "1.2"},
			HTTP2: HTTP2{MaxConcurrentStreams: 1_000_000, StreamWindow: 65536, KeepAliveTimeout: 20 * time.Second,
				MaxResets: 200, MaxControlFrames: 2000},
			IdleTimeout: 4 * time.Second, CircuitBreaker: CircuitBreaker{MaxConnections: 1, MaxRequests: 1024, MaxRetries: 3},
			Balance: NewCluster().Balance, MaxHeaderBytes: 2048, MaxHeaderFields: 2,
		}},
		Consul: New().Consul, Catalog: Catalog{Timeout: 15 * time.Second},
		Telemetry: Telemetry{
			Traces: Traces{
				OTLP: &OTLP{Endpoint: "collector:4317", Headers: map[string]string{"authorization": "Bearer t0ps3cret"},
					Timeout: 5 * time.Second, Compression: "gzip", TLS: true},
				Zipkin: &Zipkin{URL: "https://user:t0ps3cret@zipkin/api/v2/spans?key=t0ps3cret&x=", Timeout: 6 * time.Second},
				Sample: 0.001, Inject: []string{"b3multi", "b3"},
			},
			AccessLog: AccessLog{Path: "/var/log/hop.log"},
		},
		Log: Log{Level: "debug"},
	}
	if d := diff(want, mustParse(t, full)); d != "" {
		t.Error(d)
	}
}

// with makes a valid file of the clusters web and api and one listener that
// has lines added to it.
func with(listener string) string {
	return "listeners:\n  - name: in\n    address: :80\n    routes: [{cluster: web}]\n" + listener +
		"clusters:\n  web: {endpoints: [web:80]}\n  api: {endpoints: [api:80]}\n"
}

func TestParseForms(t *testing.T) {
	tests := []struct {
		name string
		text string
		get  func(*Config) any
		want any
	}{
		{"byte order mark", "\ufeff" + example, func(c *Config) any { return c.Service }, "web"},
		{"CRLF", strings.ReplaceAll(example, "\n", "\r\n"), func(c *Config) any { return c.Service }, "web"},
		{"document markers", "---\n" + example + "...\n", func(c *Config) any { return c.Service }, "web"},
		{"JSON", `{"listeners": [{"name": "in", "address": ":80", "forward_proxy": {}}]}`,
			func(c *Config) any { return c.Listeners[0].ForwardProxy.Timeout }, 15 * time.Second},
		{"quoted keys and values", with("    \"direction\": 'outbound'\n"),
			func(c *Config) any { return c.Listeners[0].Direction }, "outbound"},
		{"block scalar", with("    direction: >-\n      outbound\n"),
			func(c *Config) any { return c.Listeners[0].Direction }, "outbound"},
		{"explicit key", with("    ? direction\n    : outbound\n"),
			func(c *Config) any { return c.Listeners[0].Direction }, "outbound"},
		{"explicit false is not absent", with("    via: false\n"), func(c *Config) any { return c.Listeners[0].Via }, false},
		{"duration 0", with("    forward_proxy: {timeout: 0}\n"),
			func(c *Config) any { return c.Listeners[0].ForwardProxy.Timeout }, time.Duration(0)},
		{"empty list", with("    forward_proxy: {allow: []}\n"),
			func(c *Config) any { return c.Listeners[0].ForwardProxy.Allow == nil }, true},
		{"alias", "clusters:\n  a: &c {endpoints: [a:80], max_idle: 5}\n  b: *c\n" +
			"listeners: [{name: in, address: ':80', routes: [{cluster: b}]}]\n",
			func(c *Config) any { return c.Clusters["b"] }, func() any {
				c := NewCluster("a:80")
				c.MaxIdle = 5
				return c
			}()},
		{"merge: own keys win", "clusters:\n  a: &c {endpoints: [a:80], max_idle: 5, connect_timeout: 6s}\n  b:\n    <<: *c\n    max_idle: 7\n" +
			"listeners: [{name: in, address: ':80', routes: [{cluster: b}]}]\n",
			func(c *Config) any { return [2]any{c.Clusters["b"].MaxIdle, c.Clusters["b"].ConnectTimeout} }, [2]any{7, 6 * time.Second}},
		{"merge of a list: the first wins", "clusters:\n  a: &a {endpoints: [a:80], max_idle: 5}\n  b: &b {endpoints: [b:80], max_idle: 6, connect_timeout: 8s}\n" +
			"  c: {<<: [*a, *b]}\nlisteners: [{name: in, address: ':80', routes: [{cluster: c}]}]\n",
			func(c *Config) any {
				return []any{c.Clusters["c"].Endpoints[0], c.Clusters["c"].MaxIdle, c.Clusters["c"].ConnectTimeout}
			}, []any{"a:80", 5, 8 * time.Second}},
		{"an anchor given again", "clusters:\n  a: &c {endpoints: [a:80]}\n  b: &c {endpoints: [b:80]}\n  c: *c\n" +
			"listeners: [{name: in, address: ':80', routes: [{cluster: c}]}]\n",
			func(c *Config) any { return c.Clusters["c"].Endpoints[0] }, "b:80"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, tt.get(mustParse(t, tt.text))); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "hopscope.yaml")
	if err := os.WriteFile(path, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff(mustParse(t, example), got); d != "" {
		t.Error(d)
	}

	if _, err := Load(filepath.Join(dir, "absent.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("directory: %v", err)
	}

	if err := os.WriteFile(path, []byte("listeners: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Load(path)
	var list Errors
	want := path + ":1:12: listeners: expected a list of mappings, found \"x\""
	if !errors.As(err, &list) || len(list) != 1 || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}

	if err := os.WriteFile(path, bytes.Repeat([]byte("#\n"), maxBytes), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Load(path)
	want = path + ":1:1: the file is too large: a configuration has at most 1048576 bytes"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestBounded has files that would cost a parser without limits its stack, its
// memory or hours.
func TestBounded(t *testing.T) {
	bomb := "x0: &x0 [a,a,a,a,a,a,a,a,a,a]\n"
	for i := range 12 {
		prev := "*x" + string(rune('a'+i-1))
		if i == 0 {
			prev = "*x0"
		}
		bomb += "x" + string(rune('a'+i)) + ": &x" + string(rune('a'+i)) +
			" [" + strings.Repeat(prev+",", 9) + prev + "]\n"
	}
	merges := "m0: &m0 {a: 1}\n"
	for i := 1; i < 40; i++ {
		name, prev := "m"+strings.Repeat("i", i), "m"+strings.Repeat("i", i-1)
		if i == 1 {
			prev = "m0"
		}
		merges += name + ": &" + name + " {<<: [*" + prev + ", *" + prev + "]}\n"
	}
	merges += "<<: *m" + strings.Repeat("i", 39) + "\n"
	routes := "a: &r [" + strings.Repeat("{cluster: c},", 999) + "{cluster: c}]\n" +
		"b: &l {name: x, address: ':80', routes: *r}\nlisteners: [" + strings.Repeat("*l, ", 200) + "*l]\n"

	tests := []struct {
		name, text, want string
	}{
		{"flow lists", strings.Repeat("[", 20_000), "1:65: YAML syntax: nested deeper than 64 levels"},
		{"flow mappings", strings.Repeat("{a: ", 20_000), "1:257: YAML syntax: nested deeper than 64 levels"},
		{"block lists", strings.Repeat("- ", 20_000), "1:129: YAML syntax: nested deeper than 64 levels"},
		{"explicit keys", strings.Repeat("? ", 20_000), "1:129: YAML syntax: nested deeper than 64 levels"},
		{"tags", "a: " + strings.Repeat("!a ", 20_000), "nested deeper than 64 levels"},
		{"keys", strings.Repeat("a:\n", 26_000), "25001:2: YAML syntax: the file has more than 25000 keys"},
		{"explicit keys in lines", strings.Repeat("? a\n", 26_000), "25001:1: YAML syntax: the file has more than 25000 keys"},
		{"alias bomb under an unknown key", bomb, "xa: unknown key"},
		{"merge bomb", merges, "the file stands for more than 100000 values, those that aliases repeat included"},
		{"aliases of lists", routes, "the file stands for more than 100000 values, those that aliases repeat included"},
		{"list of numbers", "listeners: [" + strings.Repeat("5,", 100_000) + "5]\n",
			"1:12: listeners: the file stands for more than 100000 values, those that aliases repeat included"},
		{"wrong everywhere", "listeners: [" + strings.Repeat("5, ", 5000) + "5]\n", "and 4901 more mistakes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("f", []byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %.300v, want %s", err, tt.want)
			}
			var list Errors
			if errors.As(err, &list) && len(list) > maxErrors+1 {
				t.Errorf("%d errors", len(list))
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte(full))
	for _, tt := range mistakes() {
		f.Add([]byte(tt.text))
	}
	schema := compileSchema(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<14 {
			t.Skip("larger files cost time and show nothing else")
		}
		c, err := Parse("fuzz.yaml", data)
		if err != nil {
			var list Errors
			if !errors.As(err, &list) || len(list) == 0 {
				t.Fatalf("%T: %v", err, err)
			}
			for _, e := range list {
				if e.Message == "" || strings.ContainsAny(e.Error(), "\n\r\x00") {
					t.Errorf("message %q", e.Error())
				}
			}
			return
		}
		if err := c.Validate(); err != nil {
			t.Errorf("Parse took what Validate refuses: %v", err)
		}
		text := c.yaml(false)
		again, err := Parse("again.yaml", text)
		if err != nil {
			t.Fatalf("the dump is refused: %v\n%s", err, text)
		}
		if d := diff(c, again); d != "" {
			t.Errorf("the dump differs: %s\n%s", d, text)
		}
		if got := again.yaml(false); !bytes.Equal(text, got) {
			t.Errorf("dumps differ:\n%s\n%s", text, got)
		}
		if err := schema.Validate(instance(t, text)); err != nil {
			t.Errorf("the schema refuses what Parse takes: %v", err)
		}
	})
}
