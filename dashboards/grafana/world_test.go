package grafana_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/cmd"
	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/deploy/demo"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/proxy/snapshot"
)

// asProxy is the environment variable that makes the test's own program the command
// hopscope: a proxy in a process of its own, which can be restarted and killed.
const asProxy = "HOPSCOPE_TEST_AS_PROXY"

func TestMain(m *testing.M) {
	if os.Getenv(asProxy) != "" {
		os.Exit(cmd.Execute("test"))
	}
	os.Exit(m.Run())
}

// world is the demo's mesh with a proxy before each service, and some proxies beside it for
// what the mesh has not, such as TLS. A real Prometheus scrapes all of them.
type world struct {
	t          *testing.T
	dir        string
	consul     *backends.ConsulServer
	prometheus *backends.PrometheusServer
	apps       map[string]*demo.Application
	child      *backends.Process
	childAt    string // address of the child's admin API
	app        string // address of an application that is not of the mesh
	background context.Context
	running    sync.WaitGroup

	mu      sync.Mutex // guards what follows
	targets []string
	proxies map[string]*snapshot.Proxy
}

// newWorld starts Prometheus, which has no targets yet, and Consul.
func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir(), apps: map[string]*demo.Application{}, proxies: map[string]*snapshot.Proxy{}}
	ctx, cancel := context.WithCancel(context.Background())
	w.background = ctx
	t.Cleanup(func() { cancel(); w.running.Wait() })
	w.consul = backends.Consul(t, backends.ConsulOptions{})
	w.scrape()
	config := w.file("prometheus.json", w.prometheusConfig())
	backends.Require(t, "prometheus")
	p, err := backends.StartPrometheus(ctx, config, w.dir)
	if err != nil {
		t.Fatal(err)
	}
	w.prometheus = p
	t.Cleanup(p.Kill)
	return w
}

func (w *world) prometheusConfig() string {
	var rules []string
	for _, name := range []string{"rules.yml", "alerts.yml"} {
		path, err := filepath.Abs(name)
		if err != nil {
			w.t.Fatal(err)
		}
		rules = append(rules, path)
	}
	type object map[string]any
	text, err := json.Marshal(object{
		"global":     object{"scrape_interval": "3s", "scrape_timeout": "3s", "evaluation_interval": "1s"},
		"rule_files": rules,
		"scrape_configs": []object{{
			"job_name": "hopscope", "file_sd_configs": []object{{"files": []string{filepath.Join(w.dir, "targets.json")}}},
		}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// scrape adds targets to those of Prometheus.
func (w *world) scrape(addresses ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.targets = append(w.targets, addresses...)
	text, err := json.Marshal([]map[string][]string{{"targets": w.targets}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.file("targets.json", string(text))
}

// file writes a file at one stroke, and returns its path.
func (w *world) file(name, text string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// proxy starts a proxy of a configuration. What all of them have is added to it.
func (w *world) proxy(name, text string, filters ...filter.Filter) *snapshot.Proxy {
	w.t.Helper()
	p, err := snapshot.Start(w.parse(text), snapshot.Options{
		Log: slog.New(slog.DiscardHandler), Version: "test", Filters: filters,
	})
	if err != nil {
		w.t.Fatalf("%s: %v", name, err)
	}
	w.mu.Lock()
	w.proxies[name] = p
	w.mu.Unlock()
	w.t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = p.Close(ctx) // there is no time for what is under way
	})
	w.scrape(p.AdminAddr().String())
	return p
}

func (w *world) parse(text string) *config.Config {
	w.t.Helper()
	if !strings.Contains(text, "admin:") {
		text += "\nadmin: {address: '127.0.0.1:0'}"
	}
	if !strings.Contains(text, "telemetry:") {
		text += "\ntelemetry: {access_log: {path: 'off'}}"
	}
	c, err := config.Parse("test.yaml", []byte(text))
	if err != nil {
		w.t.Fatalf("%v\n%s", err, text)
	}
	return c
}

// startMesh starts the demo's services, callees first, each with its proxy, and traffic.
func (w *world) startMesh() {
	ingress := map[string]string{}
	entry := ""
	for _, name := range demo.Names() {
		app, err := demo.StartApplication(name, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(app.Close)
		w.apps[name], ingress[name] = app, app.Address()
		if !demo.HasSidecar(name) {
			continue
		}
		routes, clusters := "", fmt.Sprintf("  %s: {endpoints: ['%s']}\n", name, app.Address())
		for _, callee := range demo.Callees(name) {
			routes += fmt.Sprintf("    - {name: %[1]s, match: {hosts: [%[1]s]}, cluster: %[1]s, timeout: 60s}\n", callee)
			clusters += fmt.Sprintf("  %s: {%s, retry: {on: [connect-failure], attempts: 2}, outlier: {consecutive_local_origin: 3, base_ejection: 2s, interval: 100ms, max_ejected_percent: 100}}\n",
				callee, w.endpoints(callee, ingress[callee]))
		}
		if routes != "" {
			routes = "    routes:\n" + routes
		}
		p := w.proxy(name, fmt.Sprintf(`
service: %s
consul: {address: '%s'}
listeners:
  - {name: inbound, address: '127.0.0.1:0', routes: [{cluster: %s}]}
  - name: outbound
    address: '127.0.0.1:0'
    direction: outbound
    forward_proxy: {}
%sclusters:
%s`, name, w.consul.Address, name, routes, clusters))
		ingress[name] = p.Addr("inbound").String()
		app.Connect(p.Addr("outbound").String())
		entry = name
	}
	url := "http://" + ingress[entry] + demo.Path(entry)
	w.running.Go(func() { demo.Traffic(w.background, url, 8) })
}

// endpoints is where a service is: fraud is found in Consul.
func (w *world) endpoints(service, address string) string {
	if service != "fraud" {
		return "endpoints: ['" + address + "']"
	}
	w.consul.Register(w.t, proxytest.Registration(service, address))
	return "consul: {service: fraud, wait: 1s}"
}

// startOthers starts the proxies beside the mesh, which all are well.
func (w *world) startOthers() {
	app := w.serve(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/late":
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
			}
			rw.WriteHeader(http.StatusServiceUnavailable)
		case "/never":
			select {
			case <-w.background.Done():
			case <-r.Context().Done():
			}
		case "/shop.Cart/Add":
			rw.Header().Set("Content-Type", "application/grpc")
			rw.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		}
		_, _ = io.Copy(rw, r.Body)
	})
	w.app = app
	authority := proxytest.NewAuthority(w.t)
	w.certificate(authority, 365*24*time.Hour)
	w.proxy("secure", fmt.Sprintf(`
service: secure
admin: {address: '127.0.0.1:0', token_file: %s, open: [metrics]}
listeners:
  - {name: https, address: '127.0.0.1:0', tls: {certificates: [{cert: %s, key: %s}]}, routes: [{cluster: app}]}
clusters: {app: {endpoints: ['%s']}}`, w.file("token", "a-token-that-is-long-enough"), w.dir+"/tls.pem", w.dir+"/tls.key", app))
	w.proxy("narrow", fmt.Sprintf(`
service: narrow
listeners:
  - {name: inbound, address: '127.0.0.1:0', max_connections: 400, routes: [{match: {path_prefix: /late}, cluster: late, retry: {on: [5xx], attempts: 3}}, {cluster: app}]}
  - {name: small, address: '127.0.0.1:0', max_connections: 4, routes: [{cluster: app}]}
clusters:
  app: {endpoints: ['%[1]s']}
  late: {endpoints: ['%[1]s'], circuit_breaker: {max_requests: 20, max_connections: 2, max_pending: 10, max_retries: 2}}
  listed: {file: {path: %s}}`, app, w.file("endpoints.yaml", "endpoints: ['127.0.0.1:1']")))
	w.proxy("panicky", fmt.Sprintf(`
service: panicky
listeners:
  - {name: inbound, address: '127.0.0.1:0', routes: [{cluster: app}]}
  - {name: outbound, address: '127.0.0.1:0', direction: outbound, routes: [{cluster: app}]}
clusters: {app: {endpoints: ['%s'], protocol: http2}}`, app), func(next filter.Handler) filter.Handler {
		return func(x *filter.Exchange) error {
			if strings.HasPrefix(string(x.Request.Path()), "/panic") {
				panic("a defect, for the test")
			}
			return next(x)
		}
	})
	w.proxy("poor", fmt.Sprintf(`
service: poor
listeners: [{name: inbound, address: '127.0.0.1:0', routes: [{cluster: app}]}]
clusters: {app: {endpoints: ['%s']}}
overload: {max_memory_bytes: 16777216}`, app))
	w.proxy("dropping", fmt.Sprintf(`
service: dropping
listeners: [{name: inbound, address: '127.0.0.1:0', routes: [{cluster: app}]}]
clusters: {app: {endpoints: ['%s']}}
telemetry: {access_log: {path: /dev/full}, traces: {otlp: {endpoint: '127.0.0.1:1', timeout: 100ms}}}`, app))
	w.startChild()
}

// certificate writes the files of the secure proxy's certificate, which is valid for so long.
func (w *world) certificate(a *proxytest.Authority, valid time.Duration) {
	c := a.Issue("secure.test", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(valid) })
	for from, to := range map[string]string{c.Cert: "tls.pem", c.Key: "tls.key"} {
		w.file(to, string(read(w.t, from)))
	}
}

// serve runs a server for the test, of HTTP/1 and HTTP/2, and returns its address.
func (w *world) serve(h http.HandlerFunc) string {
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	w.t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// startChild runs a proxy in a process of its own, at the address that it had before.
func (w *world) startChild() {
	w.t.Helper()
	at := w.childAt
	if at == "" {
		at = "127.0.0.1:0"
	}
	path := w.file("child.yaml", fmt.Sprintf(`
service: child
admin: {address: '%s'}
listeners: [{name: inbound, address: '127.0.0.1:0', routes: [{cluster: app}]}]
clusters: {app: {endpoints: ['%s']}}
telemetry: {access_log: {path: 'off'}}`, at, w.app))
	// The limit leaves little for connections, so that they run out.
	command := exec.Command("sh", "-c", `ulimit -n 64; exec "$0" run -c "$1"`, os.Args[0], path)
	command.Env = append(os.Environ(), asProxy+"=1")
	child, err := backends.Spawn("child", command)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(child.Kill)
	w.child = child
	admin := regexp.MustCompile(`msg="admin API" url=http://([^/ ]+)/`)
	proxytest.Eventually(w.t, "the address of the child's admin API", func() bool {
		m := admin.FindStringSubmatch(child.Output())
		if m != nil {
			at = m[1]
		}
		return m != nil
	})
	if w.childAt == "" {
		w.childAt = at
		w.scrape(at)
	}
}

// get sends a request and reads the answer to its end. Whether there is one does not matter.
func (w *world) get(url string, content []byte) {
	ctx, cancel := context.WithTimeout(w.background, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(content))
	if err != nil {
		return
	}
	if resp, err := http.DefaultClient.Do(r); err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

// often does something again and again until the test ends, so many at a time.
func (w *world) often(workers int, every time.Duration, do func()) {
	for range workers {
		w.running.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for {
				do()
				select {
				case <-tick.C:
				case <-w.background.Done():
					return
				}
			}
		})
	}
}
