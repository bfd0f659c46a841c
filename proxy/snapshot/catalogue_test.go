package snapshot_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/snapshot"
)

// startConfigured runs a proxy by a configuration in YAML.
func startConfigured(t *testing.T, text string) *rig {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte("admin: {address: \"127.0.0.1:0\"}\ntelemetry: {access_log: {path: \"off\"}}\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	l := &rig{t: t, said: &words{}}
	if l.proxy, err = snapshot.Start(c, snapshot.Options{Log: slog.New(slog.NewTextHandler(l.said, nil))}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.stop()
		if t.Failed() {
			t.Logf("the proxy's log:\n%s", l.said)
		}
	})
	return l
}

// askFor makes a request of the proxy for a host.
func (l *rig) askFor(host, path string) (status int, body string) {
	l.t.Helper()
	return l.call("GET", "http://"+l.ingress()+path, host)
}

// call makes a request, on a connection of its own.
func (l *rig) call(method, url, host string) (status int, body string) {
	l.t.Helper()
	r, err := http.NewRequestWithContext(l.t.Context(), method, url, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	r.Host = host
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		l.t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return response.StatusCode, string(b)
}

// answers waits until a host is answered in this way.
func (l *rig) answers(host, path string, status int, part string) {
	l.t.Helper()
	var got int
	var body string
	eventually(l.t, fmt.Sprintf("%s%s answering %d %q", host, path, status, part), func() bool {
		got, body = l.askFor(host, path)
		return got == status && strings.Contains(body, part)
	})
}

// offer registers a service that answers with its name, the path, and the path that
// was asked for before it was rewritten.
func offer(t *testing.T, a *backends.ConsulServer, name string, tags ...string) {
	t.Helper()
	address := goServer(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", name, r.URL.Path, r.Header.Get("X-Envoy-Original-Path"))
	})
	a.Register(t, registrationOf(name, address, tags...))
}

func registrationOf(name, address string, tags ...string) *api.AgentServiceRegistration {
	host, text, _ := net.SplitHostPort(address)
	port, _ := strconv.Atoi(text)
	return &api.AgentServiceRegistration{ID: name, Name: name, Address: host, Port: port, Tags: tags}
}

// Every service of the catalogue is served by its name and by its tags, as it comes
// and goes.
func TestCatalogueIsServed(t *testing.T) {
	noLeaks(t)
	a := backends.Consul(t, backends.ConsulOptions{})
	offer(t, a, "payments", "hopscope-route=shop.test/cart strip=/cart", "urlprefix-fabio.test/old strip=/old")
	offer(t, a, "closed", "urlprefix-/adm auth=staff")
	down := registrationOf("down", "127.0.0.1:1")
	down.Check = &api.AgentServiceCheck{TTL: "1h"} // critical until it is told otherwise
	a.Register(t, down)
	l := startConfigured(t, `
service: mesh
consul: {address: "`+a.Address+`"}
catalog: {suffixes: [mesh.test]}
listeners: [{name: ingress, address: "127.0.0.1:0", catalog: consul, routes: [{match: {hosts: [own.test]}, cluster: own}]}]
clusters: {own: {endpoints: ["`+goServer(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "own") })+`"]}}
`)
	for _, tt := range []struct {
		host, path string
		status     int
		part       string
	}{
		{"payments", "/x", 200, "payments /x "},
		{"payments.service.consul", "/", 200, "payments"},
		{"PAYMENTS.mesh.test:80", "/", 200, "payments"},
		{"shop.test", "/cart/1?q", 200, "payments /1 /cart/1?q"},
		{"fabio.test", "/old", 200, "payments / /old"},
		{"shop.test", "/other", 404, "(NR)"},
		{"nowhere", "/", 404, "(NR)"},
		{"consul", "/", 404, "(NR)"},
		{"any", "/adm/x", 403, "(UAEX)"},
		{"closed", "/", 404, "(NR)"},
		{"down", "/", 503, "(UH)"},
		{"own.test", "/", 200, "own"},
	} {
		l.answers(tt.host, tt.path, tt.status, tt.part)
	}
	offer(t, a, "later")
	l.answers("later", "/", 200, "later")
	l.countsRequests("later", true)
	a.Deregister(t, "later")
	l.answers("later", "/", 404, "(NR)")
	eventually(t, "the series of what went away being dropped", func() bool { return !strings.Contains(l.scraped(), `cluster="later"`) })
	l.countsRequests("payments", true)
}

func (l *rig) scraped() string {
	_, text := l.call("GET", "http://"+l.proxy.AdminAddr().String()+"/metrics", "")
	return text
}

// countsRequests checks whether requests to a cluster are counted.
func (l *rig) countsRequests(cluster string, want bool) {
	l.t.Helper()
	l.settle()
	is := false
	for line := range strings.Lines(l.scraped()) {
		is = is || strings.HasPrefix(line, "hopscope_requests_total{") && strings.Contains(line, `cluster="`+cluster+`"`)
	}
	if is != want {
		l.t.Errorf("requests to %s are counted: %t, want %t", cluster, is, want)
	}
}

// What a person does to an endpoint over the admin API counts at once.
func TestEndpointsByHand(t *testing.T) {
	noLeaks(t)
	name := func(s string) string {
		return goServer(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, s) })
	}
	a, b := name("a"), name("b")
	l := startConfigured(t, `
listeners: [{name: ingress, address: "127.0.0.1:0", routes: [{cluster: web}]}]
clusters: {web: {endpoints: ["`+a+`", "`+b+`"]}}
`)
	admin := "http://" + l.proxy.AdminAddr().String() + "/clusters"
	answered := func() string {
		all := map[string]bool{}
		for range 6 {
			_, body := l.askFor("", "/")
			all[body] = true
		}
		return fmt.Sprint(all)
	}
	for _, tt := range []struct {
		method, path string
		status       int
		part, want   string
	}{
		{"POST", "/web/endpoints/" + a + "/drain", 200, "drain", "map[b:true]"},
		{"POST", "/web/endpoints/" + a + "/restore", 200, "restore", "map[a:true b:true]"},
		{"POST", "/web/endpoints/" + b + "/eject", 200, "eject", "map[a:true]"},
		{"POST", "/web/endpoints/" + b + "/restore", 200, "restore", "map[a:true b:true]"},
		{"POST", "/web/endpoints/" + b + "/explode", 400, "eject, restore or drain", "map[a:true b:true]"},
		{"POST", "/web/endpoints/[::1]:1/drain", 404, "[::1]:1", "map[a:true b:true]"},
		{"POST", "/wbe/endpoints/" + b + "/drain", 404, "wbe", "map[a:true b:true]"},
		{"GET", "/web/endpoints/" + b + "/drain", 405, "use POST", "map[a:true b:true]"},
	} {
		if status, body := l.call(tt.method, admin+tt.path, ""); status != tt.status || !strings.Contains(body, tt.part) {
			t.Errorf("%s %s: %d %s, want %d with %q", tt.method, tt.path, status, body, tt.status, tt.part)
		}
		if got := answered(); got != tt.want {
			t.Errorf("after %s %s: answered by %s, want %s", tt.method, tt.path, got, tt.want)
		}
	}
	l.call("POST", admin+"/web/endpoints/"+a+"/drain", "")
	if _, text := l.call("GET", admin, ""); !strings.Contains(text, `"why": "drained by hand"`) {
		t.Errorf("/clusters: %s", text)
	}
}

// The service and its sidecar are in Consul while the proxy runs, also when the
// agent has lost its memory, and are taken out when it ends.
func TestRegistration(t *testing.T) {
	a := backends.Consul(t, backends.ConsulOptions{})
	application := goServer(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "well") })
	l := startConfigured(t, `
service: web
consul: {address: "`+a.Address+`"}
register: {consul: {id: web-1, address: 127.0.0.1, tags: [v2], weight: 3, check: {http: "http://`+application+`/health", interval: 1s}}}
listeners: [{name: ingress, address: "127.0.0.1:0", routes: [{cluster: app}]}]
clusters: {app: {endpoints: ["`+application+`"]}}
`)
	port := int(l.proxy.Addr("ingress").Port())
	registered := func() bool {
		all, err := a.API(t).Agent().Services()
		if err != nil {
			return false
		}
		s, sidecar := all["web-1"], all["web-1-sidecar-proxy"]
		return s != nil && s.Port == port && len(s.Tags) == 1 && s.Weights.Passing == 3 &&
			sidecar != nil && sidecar.Kind == api.ServiceKindConnectProxy && sidecar.Port == port
	}
	eventually(t, "the service being registered", registered)
	eventually(t, "its check passing", func() bool {
		found, _, err := a.API(t).Health().Service("web", "v2", true, nil)
		return err == nil && len(found) == 1
	})
	a.Kill()
	a.Restart(t)
	eventually(t, "the service being registered again", registered)
	l.stop()
	all, err := a.API(t).Agent().Services()
	if err != nil || len(all) != 0 {
		t.Errorf("%v, %v: want nothing to be left", all, err)
	}
}
