package clitest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// secret is the end of every secret in the tests below; what comes before it says which
// one was shown.
const secret = "-hunter2"

// shows fails the test if a text shows a secret.
func shows(t *testing.T, where, text string) {
	t.Helper()
	for word := range strings.FieldsSeq(text) {
		if strings.Contains(word, secret) {
			t.Errorf("%s shows a secret: %s", where, word)
		}
	}
}

// TestSecretsAreNotShown puts a secret in each place that may hold one, and makes
// everything fail that can, with servers that quote what they were sent. Nothing that the
// program prints or serves may show a secret.
func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	quotes := func(header string) string {
		return serve(t, func(w http.ResponseWriter, r *http.Request) {
			user, password, _ := r.BasicAuth()
			http.Error(w, fmt.Sprint("refused: ", r.URL.Query(), user, password, r.Header.Get(header)), http.StatusForbidden)
		})
	}
	zipkin, agent, endpoint := quotes("Authorization"), quotes("X-Consul-Token"), quotes("Authorization")
	endpoints := file(t, "endpoints.yaml", fmt.Sprintf("endpoints: [{address: %q, metadata: {db_password: metadata-hunter2}}]", endpoint))
	text := func(more string) string {
		return fmt.Sprintf(`service: web
admin: {address: 127.0.0.1:0}
listeners: [{name: ingress, address: 127.0.0.1:0, catalog: consul, routes: [{match: {path_prefix: /consul}, cluster: other}, {cluster: web}]}]
consul: {address: %[2]q, token: token-hunter2}
register: {consul: {port: 3000, meta: {api_key: meta-hunter2, note: note-hunter2}, tags: ["password=tag-hunter2", "see http://u:tagurl-hunter2@h/"],
  check: {http: "http://u:check-hunter2@127.0.0.1:1/health?token=checkquery-hunter2"}}}
clusters:
  web:
    file: {path: %[3]q}
    health_checks: [{http: {path: /health, headers: {authorization: header-hunter2}}, interval: 1s}]
  other: {consul: {service: other, token: other-hunter2}}
telemetry:
  traces:
    otlp: {endpoint: "127.0.0.1:1", headers: {x-api-key: otlp-hunter2}, timeout: 1s}
    zipkin: {url: "http://user-hunter2:zipkin-hunter2@%[1]s/api/v2/spans?key=query-hunter2"}
%[4]s`, zipkin, agent, endpoints, more)
	}
	path := file(t, "hopscope.yaml", text(""))
	p := start(t, "run", "-c", path, "--log-level=debug")
	get(t, p.url()+"?token=request-hunter2&api_key=apikey-hunter2")
	get(t, p.url()+"consul")
	p.find(`spans are lost" exporter="?(otlp)`)
	p.find(`spans are lost" exporter="?(zipkin)`)
	p.find(`(can't be registered in Consul)`)

	replace(t, path, text(`log: {level: "http://u:reload-hunter2@h"}`))
	_, said, err := tryGet(newClient(t), http.MethodPost, p.admin()+"/reload")
	must(t, err)
	if !strings.Contains(said, "log.level") {
		t.Errorf("a reload said %s", said)
	}
	shows(t, "/reload", said)
	_, list := get(t, p.admin()+"/")
	for _, view := range []string{"/config_dump", "/clusters", "/catalog", "/listeners", "/metrics", "/ready", "/server_info", "/traces", "/debug/pprof/cmdline"} {
		if !strings.Contains(list, view) {
			t.Errorf("there is no %s", view)
		}
		_, said := get(t, p.admin()+view)
		shows(t, view, said)
	}
	_, dump := get(t, p.admin()+"/config_dump")
	if !strings.Contains(dump, `"api_key": "REDACTED"`) || !strings.Contains(dump, "REDACTED@"+zipkin+"/api/v2/spans?key=REDACTED") {
		t.Errorf("the dump doesn't say what it hides:\n%s", dump)
	}
	for _, span := range accessLines(p.stdout.String()) {
		_, said := get(t, p.admin()+"/traces/"+span["trace_id"].(string))
		shows(t, "a trace", said)
	}
	p.drained()
	shows(t, "the log", p.stderr.String())
	shows(t, "the access log", p.stdout.String())
}

// TestMistakesShowNoSecrets makes mistakes whose values hold secrets.
func TestMistakesShowNoSecrets(t *testing.T) {
	t.Parallel()
	const rest = "clusters: {web: {endpoints: [127.0.0.1:1]}}\n"
	listeners := func(address string) string {
		return "listeners: [{name: in, address: " + address + ", routes: [{cluster: web}]}]\n"
	}
	for _, broken := range []string{
		listeners(`"u:x-hunter2@127.0.0.1:1"`) + rest,
		listeners(`"http://u:x-hunter2@127.0.0.1:1/?token=y-hunter2"`) + rest,
		listeners(":0") + `clusters: {web: {endpoints: ["x-hunter2@127.0.0.1:18081"]}}`,
		listeners(":0") + `clusters: {web: {endpoints: "u:x-hunter2@127.0.0.1:18081"}}`,
		listeners(":0") + `clusters: {web: "http://u:x-hunter2@127.0.0.1:18081"}`,
		listeners(":0") + rest + `consul: "http://u:x-hunter2@h:8500"`,
		listeners(":0") + rest + `consul: {address: "u:x-hunter2@h:8500"}`,
		listeners(":0") + rest + `consul: {token: [x-hunter2]}`,
		listeners(":0") + rest + `consul: {token: {x-hunter2: y-hunter2}}`,
		listeners(":0") + rest + `consul: {token: *x-hunter2}`,
		listeners(":0") + rest + `consul: {token: !x-hunter2 y}`,
		listeners(":0") + rest + `consul: {token: x-hunter2, token: y-hunter2}`,
		listeners(":0") + rest + `consul: {token: "x-hunter2, address: y-hunter2}`,
		listeners(":0") + rest + `consul: {token: @x-hunter2}`,
		listeners(":0") + rest + "consul: {token: `x-hunter2}",
		listeners(":0") + rest + `consul: {token: %x-hunter2}`,
		listeners(":0") + rest + `consul: {token: "x\q-hunter2"}`,
		listeners(":0") + rest + `consul: {tls: {cert: "-----BEGIN x-hunter2", key: "-----BEGIN y-hunter2"}}`,
		listeners(":0") + rest + `telemetry: {traces: {otlp: "http://u:x-hunter2@h:1"}}`,
		listeners(":0") + rest + `telemetry: {traces: {otlp: {endpoint: "u:x-hunter2@h:1", headers: [y-hunter2]}}}`,
		listeners(":0") + rest + `telemetry: {traces: {otlp: {endpoint: "h:1", headers: "a: x-hunter2"}}}`,
		listeners(":0") + rest + `telemetry: {traces: {zipkin: "http://u:x-hunter2@h?k=y-hunter2"}}`,
		listeners(":0") + rest + `telemetry: {traces: {zipkin: {url: "ftp://u:x-hunter2@h?k=y-hunter2"}}}`,
		listeners(":0") + rest + `telemetry: {traces: {zipkin: {url: "http://u:x?-hunter2@h"}}}`,
		listeners(":0") + rest + `telemetry: {traces: {zipkin: {url: "http://h/#x-hunter2?k=y-hunter2"}}}`,
		listeners(":0") + rest + `telemetry: {traces: {zipkin: {ulr: "http://h?k=x-hunter2"}}}`,
		listeners(":0") + rest + `register: {consul: {meta: [x-hunter2]}}`,
		listeners(":0") + rest + `register: {consul: {meta: {a: [x-hunter2]}, check: {http: "h?token=y-hunter2"}}}`,
		listeners(":0") + rest + `register: {consul: {check: {tcp: "u:x-hunter2@h:1"}}}`,
		listeners(":0") + rest + `register: {consul: {name: "http://u:x-hunter2@h/é"}}`,
	} {
		stdout, stderr, code := hopscope(t, "check", "-c", file(t, "hopscope.yaml", broken))
		if code == 0 {
			t.Errorf("no mistake in\n%s\n%s", broken, stdout)
		}
		shows(t, "of "+broken+"check", stdout+stderr)
	}
	for _, endpoints := range []string{
		`endpoints: [{address: "u:x-hunter2@h:1"}]`, `endpoints: ["http://u:x-hunter2@h:1/"]`, `endpoints: ["x-hunter2@h:1"]`,
		`endpoints: [{address: "h:1", metadata: {db_password: [x-hunter2]}}]`,
		`endpoints: [{address: "h:1", metadata: {token: *x-hunter2}}]`, `endpoints: [{address: "h:1", metadata: {token: "x-hunter2}}]`,
	} {
		broken := listeners(":0") + fmt.Sprintf("clusters: {web: {file: {path: %q}}}", file(t, "endpoints.yaml", endpoints))
		stdout, stderr, code := hopscope(t, "check", "-c", file(t, "hopscope.yaml", broken))
		if code == 0 {
			t.Errorf("no mistake in\n%s\n%s", endpoints, stdout)
		}
		shows(t, "of "+endpoints+" check", stdout+stderr)
	}
	for _, args := range [][]string{
		{"--to", "http://h:1/?token=x-hunter2"},
		{"--to", "http://u:x-hunter2@h:1"},
		{"--to", "h:1", "--otlp", "http://u:x-hunter2@h:1"},
		{"--to", "h:1", "--otlp", "u:x-hunter2@h:1"},
		{"--to", "h:1", "--zipkin", "h?k=x-hunter2"},
		{"--to", "h:1", "--zipkin", "http://u:x-hunter2@h:x/"},
		{"--to", "consul:web", "--consul", "u:x-hunter2@h:1"},
		{"--to", "h:1", "--admin", "u:x-hunter2@h:1"},
		{"-c", "consul://u:x-hunter2@127.0.0.1:1/k"},
		{"-c", "consul://127.0.0.1:1/k?token=x-hunter2"},
	} {
		if args[0] == "--to" {
			args = append([]string{"--listen", "127.0.0.1:0"}, args...)
		}
		stdout, stderr, code := hopscope(t, append([]string{"run"}, args...)...)
		if code == 0 {
			t.Errorf("%q: no mistake", args)
		}
		shows(t, fmt.Sprintf("run %q", args), stdout+stderr)
	}
}
