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
	return cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{}), cmpopts.IgnoreUnexported(Transcode{}, BasicAuth{}))
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

// live is how live upstreams were promised, word for word, behind a listener for
// them: the form is the contract.
const live = `listeners:
  - name: ingress
    address: 0.0.0.0:8080
    routes:
      - {match: {path_prefix: /pay/}, cluster: payments}
      - {match: {path_prefix: /old/}, cluster: legacy}
      - {match: {path_prefix: /batch/}, cluster: batch}
` + promised

const promised = `consul: {address: 127.0.0.1:8500, token_file: consul.token}   # once; a cluster may override it
clusters:
  payments:
    consul: {service: payments, tags: [v2], only_passing: true}
    balance: {policy: peak_ewma}
    retry: {on: [connect-failure, gateway-error], attempts: 2, budget: {percent: 20}}
    circuit_breaker: {max_connections: 1024, max_pending: 1024, max_requests: 1024, max_retries: 3}
    outlier: {consecutive_5xx: 5, interval: 10s, base_ejection: 30s, max_ejected_percent: 10}
    health_checks: [{http: {path: /health}, interval: 5s, timeout: 1s}]
  legacy: {dns: {name: legacy.internal, port: 8080}}
  batch: {file: {path: endpoints.yaml}}
`

// TestParseLive builds the same in code, by the New functions.
func TestParseLive(t *testing.T) {
	want := New()
	want.Consul.Address, want.Consul.TokenFile = "127.0.0.1:8500", "consul.token"
	in := NewListener("ingress", "0.0.0.0:8080")
	for _, r := range []struct{ prefix, cluster string }{{"/pay/", "payments"}, {"/old/", "legacy"}, {"/batch/", "batch"}} {
		route := NewRoute(r.cluster)
		route.Match.PathPrefix = r.prefix
		in.Routes = append(in.Routes, route)
	}
	want.Listeners = []Listener{in}

	payments, legacy, batch := NewCluster(), NewCluster(), NewCluster()
	payments.Consul = NewConsul("payments")
	payments.Consul.Tags, payments.Consul.OnlyPassing = []string{"v2"}, true
	payments.Balance.Policy = "peak_ewma"
	payments.Retry = NewRetry("connect-failure", "gateway-error")
	payments.Retry.Budget = NewRetryBudget()
	payments.Outlier = NewOutlier()
	check := NewHealthCheck()
	check.HTTP = NewHTTPCheck("/health")
	payments.HealthChecks = []HealthCheck{check}
	legacy.DNS = NewDNS("legacy.internal", 8080)
	batch.File = &EndpointFile{Path: "endpoints.yaml"}
	want.Clusters["payments"], want.Clusters["legacy"], want.Clusters["batch"] = payments, legacy, batch

	if d := diff(want, mustParse(t, live)); d != "" {
		t.Error(d)
	}
	if err := want.Validate(); err != nil {
		t.Errorf("the same, built in code: %v", err)
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
		{"merge bomb", merges, "the file expands to more than 100000 values, counting those that aliases repeat"},
		{"aliases of lists", routes, "the file expands to more than 100000 values, counting those that aliases repeat"},
		{"list of numbers", "listeners: [" + strings.Repeat("5,", 100_000) + "5]\n",
			"1:12: listeners: the file expands to more than 100000 values, counting those that aliases repeat"},
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
	f.Add([]byte(live))
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
