package clitest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// twoClusters is a configuration of two listeners and two clusters.
const twoClusters = `service: shop
admin: {address: 127.0.0.1:0}
listeners:
  - name: front
    address: 127.0.0.1:0
    routes:
      - match: {path_prefix: /api/}
        cluster: api
      - cluster: web
  - name: public
    address: 127.0.0.1:0
    proxy_status: cut
    routes: [{cluster: web}]
clusters:
  web: {endpoints: [%s]}
  api: {endpoints: [%s], connect_timeout: 250ms}
telemetry:
  access_log: {path: stdout}
  slow_threshold: 0s
`

func TestRunFile(t *testing.T) {
	t.Parallel()
	path := file(t, "hopscope.yaml", fmt.Sprintf(twoClusters, named(t, "web"), named(t, "api")))
	stdout, stderr, code := hopscope(t, "check", "-c", path)
	if code != 0 || stdout != path+": ok\n" || stderr != "" {
		t.Errorf("check: exit code %d, %q, %q", code, stdout, stderr)
	}
	p := start(t, "run", "-c", path)
	front, public := "http://"+p.address("front"), "http://"+p.address("public")
	for _, tt := range []struct{ url, body, status string }{
		{front + "/", "web", "shop"},
		{front + "/api/x", "api", "shop"},
		{public + "/api/x", "web", ""},
	} {
		resp, body := get(t, tt.url)
		if resp.StatusCode != 200 || body != tt.body || resp.Header.Get("Proxy-Status") != tt.status {
			t.Errorf("%s: status %d, %q, Proxy-Status %q", tt.url, resp.StatusCode, body, resp.Header.Get("Proxy-Status"))
		}
	}
	p.drained()
	if n := len(accessLines(p.stdout.String())); n != 3 {
		t.Errorf("the access log has %d lines, want 3", n)
	}
}

// TestRunFlagsOverFile changes every setting that a flag has.
func TestRunFlagsOverFile(t *testing.T) {
	t.Parallel()
	c, at := otlpCollector(t)
	backend := tracer(t)
	path := file(t, "hopscope.yaml", fmt.Sprintf(twoClusters, backend, backend))
	p := start(t, "run", "-c", path, "--service=other", "--otlp="+at, "--sample=0", "--access-log=stderr", "--log-level=debug")
	front := "http://" + p.address("front") + "/"
	resp, _ := get(t, front)
	if status := resp.Header.Get("Proxy-Status"); status != "other" {
		t.Errorf("Proxy-Status: %q, want other", status)
	}
	trace, sampled, _ := traced(t, front)
	failed, _, _ := traced(t, front+"fail")
	_, dump := get(t, p.admin()+"/config_dump")
	for _, want := range []string{`"other"`, `"stderr"`, `"debug"`, at} {
		if !strings.Contains(dump, want) {
			t.Errorf("/config_dump has no %s:\n%s", want, dump)
		}
	}
	p.drained()
	if sampled || len(c.of(trace)) > 0 || len(c.of(failed)) != 1 {
		t.Errorf("sampled: %t, spans %v and of the one that failed %v", sampled, c.of(trace), c.of(failed))
	}
	if lines := accessLines(p.stderr.String()); len(lines) != 3 || p.stdout.String() != "" {
		t.Errorf("the access log has %d lines on standard error, want 3; standard output:\n%s", len(lines), p.stdout.String())
	}
}

// TestRunFlagsSpoilFile gives flags that make a good file invalid. The error names the
// flag; where it is about the file, it names the key.
func TestRunFlagsSpoilFile(t *testing.T) {
	t.Parallel()
	path := file(t, "hopscope.yaml", "listeners: [{name: a, address: \"127.0.0.1:7\", routes: [{cluster: c}]}]\nclusters: {c: {endpoints: [\"127.0.0.1:1\"]}}\n")
	for _, tt := range []struct{ flag, want string }{
		{"--sample=7", "hopscope: --sample: expected"},
		{"--service=", "hopscope: --service: must not be empty"},
		{"--admin=127.0.0.1:7", "hopscope: listeners[0].address: \"127.0.0.1:7\" can't be bound: --admin takes it already"},
	} {
		_, stderr, code := hopscope(t, "run", "-c", path, tt.flag)
		if code != 1 || !strings.HasPrefix(stderr, tt.want) {
			t.Errorf("%s: exit code %d, %s", tt.flag, code, stderr)
		}
	}
}

// TestBrokenFile: check and run both report every mistake, each on a line that begins
// with its place.
func TestBrokenFile(t *testing.T) {
	t.Parallel()
	path := file(t, "broken.yaml", `service: web
listeners:
  - name: front
    adress: 127.0.0.1:0
    address: 127.0.0.1
    routes:
      - cluster: wbe
        timeout: soon
clusters:
  web: {endpoints: [http://127.0.0.1:3000]}
telemetry: {traces: {sample: 2}}
`)
	for _, command := range []string{"check", "run"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := hopscope(t, command, "-c", path)
			if code != 1 || stdout != "" {
				t.Errorf("exit code %d, standard output %q", code, stdout)
			}
			var places []string
			for line := range strings.Lines(stderr) {
				rest, ok := strings.CutPrefix(line, path+":")
				if !ok {
					t.Errorf("a line does not begin with its place: %q", line)
				}
				place, _, _ := strings.Cut(rest, ": ")
				places = append(places, place)
			}
			want := []string{"4:5", "5:14", "7:18", "8:18", "10:21", "11:30"}
			if diff := cmp.Diff(want, places); diff != "" {
				t.Errorf("places (-want +got):\n%s\n%s", diff, stderr)
			}
			for _, want := range []string{`did you mean "address"?`, `did you mean "web"?`, `did you mean "127.0.0.1:3000"?`, "from 0 to 1"} {
				if !strings.Contains(stderr, want) {
					t.Errorf("no %q in\n%s", want, stderr)
				}
			}
		})
	}
}

func TestSyntaxError(t *testing.T) {
	t.Parallel()
	path := file(t, "broken.yaml", "service: web\nlisteners: [\n")
	_, stderr, code := hopscope(t, "check", "-c", path)
	if code != 1 || !strings.HasPrefix(stderr, path+":2:") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

func TestConfigSchema(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := hopscope(t, "config", "schema")
	var schema struct {
		Schema     string `json:"$schema"`
		Properties map[string]any
	}
	if err := json.Unmarshal([]byte(stdout), &schema); err != nil || code != 0 || stderr != "" {
		t.Fatalf("exit code %d, %q, %v", code, stderr, err)
	}
	for _, key := range []string{"service", "admin", "listeners", "clusters", "telemetry"} {
		if schema.Properties[key] == nil {
			t.Errorf("the schema has no %s", key)
		}
	}
	if schema.Schema == "" {
		t.Error("the schema does not say which dialect it is in")
	}
}

func TestConfigReference(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := hopscope(t, "config", "reference")
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, %q", code, stderr)
	}
	want, err := os.ReadFile("../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), stdout); diff != "" {
		t.Errorf("docs/config.md is not what it prints, make generate writes it (-file +printed):\n%s", diff)
	}
}

func TestConfigAlone(t *testing.T) {
	t.Parallel()
	stdout, _, code := hopscope(t, "config")
	if code != 0 || !strings.Contains(stdout, "schema") || !strings.Contains(stdout, "reference") {
		t.Errorf("exit code %d, help\n%s", code, stdout)
	}
}

// TestFullDisk: a command fails if its output can't be written.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full here")
	}
	t.Cleanup(func() { full.Close() })
	good := file(t, "good.yaml", fmt.Sprintf(twoClusters, "127.0.0.1:1", "127.0.0.1:2"))
	for _, args := range [][]string{{"version"}, {"config", "schema"}, {"config", "reference"}, {"check", "-c", good}} {
		p := newProcess(t, args...)
		p.cmd.Stdout = full
		p.begin()
		if code := p.exit(); code != 1 || !strings.Contains(p.stderr.String(), "no space") {
			t.Errorf("%s: exit code %d, %s", args, code, p.stderr.String())
		}
	}
	// A proxy goes on without its access log.
	p := newProcess(t, proxyArgs(serve(t, hello))...)
	p.cmd.Stdout = full
	p.begin()
	client := newClient(t)
	for range 50 {
		if resp, _, err := tryGet(client, http.MethodGet, p.url()); err != nil || resp.StatusCode != 200 {
			t.Fatalf("a request: %v", err)
		}
	}
	p.drained()
}
