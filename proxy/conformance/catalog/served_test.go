package catalog_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// guests is a file with ann, whose password is "secret".
func guests(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "guests")
	must(t, os.WriteFile(path, []byte("ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n"), 0o600))
	return path
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Every service of the catalog is served by its name and by its tags, as it comes
// and goes.
func TestCatalogIsServed(t *testing.T) {
	proxytest.NoLeaks(t)
	a := backends.Consul(t, backends.ConsulOptions{})
	proxytest.Offer(t, a.Register, "payments", "hopscope-route=shop.test/cart strip=/cart", "urlprefix-fabio.test/old strip=/old")
	proxytest.Offer(t, a.Register, "never")
	proxytest.Offer(t, a.Register, "closed", "urlprefix-/adm auth=staff")
	proxytest.Offer(t, a.Register, "moved", "urlprefix-/moved redirect=308,https://new.test/to$path", "urlprefix-/stripped strip=/stripped redirect=302,https://new.test$path")
	proxytest.Offer(t, a.Register, "inner", "urlprefix-/inner allow=ip:127.0.0.0/8", "urlprefix-/far allow=ip:192.0.2.0/24,ip:2001:db8::/32")
	proxytest.Offer(t, a.Register, "outer", "urlprefix-/outer deny=ip:127.0.0.0/8")
	proxytest.Offer(t, a.Register, "asked", "urlprefix-/asked auth=guests", "hopscope-route=/asked-old auth=guests redirect=308,https://new.test/")
	down := proxytest.Registration("down", "127.0.0.1:1")
	down.Check = &api.AgentServiceCheck{TTL: "1h"} // critical until it is told otherwise
	a.Register(t, down)
	l := proxytest.StartYAML(t, `
service: mesh
consul: {address: "`+a.Address+`"}
catalog: {suffixes: [mesh.test], auth: {guests: {file: "`+guests(t)+`", realm: guests}}}
listeners: [{name: ingress, address: "127.0.0.1:0", catalog: consul, routes: [{match: {hosts: [own.test]}, cluster: own}]}]
clusters: {own: {endpoints: ["`+proxytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "own") })+`"]}}
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
		{"any", "/inner/x", 200, "inner"},
		{"inner", "/", 404, "(NR)"}, // its name would lead past the tags
		{"any", "/far/x", 403, "(UAEX)"},
		{"any", "/outer/x", 403, "(UAEX)"},
		{"any", "/asked/x", 401, ""},
		{"any", "/asked-old", 401, ""},
		{"asked", "/", 404, "(NR)"},
		{"down", "/", 503, "(UH)"},
		{"own.test", "/", 200, "own"},
	} {
		l.AwaitAnswer(tt.host, tt.path, tt.status, tt.part)
	}
	for target, want := range map[string]string{"/moved/x?y=1": "https://new.test/to/moved/x?y=1", "/stripped/x?y=1": "https://new.test/x?y=1"} {
		proxytest.Eventually(t, "a redirect", func() bool {
			r := proxytest.Ask(t, l.Ingress(), "GET "+target+" HTTP/1.1\r\nHost: any\r\n\r\n")
			return r.Header.Get("Location") == want
		})
	}
	const ann = "Authorization: Basic YW5uOnNlY3JldA==\r\n"
	proxytest.Same(t, "an answer to a guest", proxytest.Ask(t, l.Ingress(), "GET /asked/x HTTP/1.1\r\nHost: any\r\n"+ann+"\r\n").StatusCode, 200)
	proxytest.Same(t, "a redirect of a guest", proxytest.Ask(t, l.Ingress(), "GET /asked-old HTTP/1.1\r\nHost: any\r\n"+ann+"\r\n").StatusCode, 308)
	must(t, os.WriteFile(l.Config().Catalog.Auth["guests"].File, []byte("bob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n"), 0o600))
	_, err := l.Reload(l.Config())
	must(t, err)
	proxytest.Same(t, "an answer to who was a guest", proxytest.Ask(t, l.Ingress(), "GET /asked/x HTTP/1.1\r\nHost: any\r\n"+ann+"\r\n").StatusCode, 401)
	if _, text := l.Call("GET", l.AdminURL()+"routes", ""); !strings.Contains(text, `"closed": "auth: catalog.auth of the configuration has no \"staff\"`) {
		t.Errorf("/routes does not say why a route is closed: %s", text)
	}
	if _, text := l.Call("GET", l.AdminURL()+"explain?url=/adm/x", ""); !strings.Contains(text, `the route is closed: auth: catalog.auth`) {
		t.Errorf("/explain does not say why a route is closed: %s", text)
	}
	if _, text := l.Call("GET", "http://"+l.AdminAddr().String()+"/catalog", ""); !strings.Contains(text, `"never"`) {
		t.Errorf("/catalog does not have a service that nobody calls: %s", text)
	}
	proxytest.Same(t, "a service that nobody calls has a series", strings.Contains(l.MetricsText(), "never"), false)
	proxytest.Same(t, "a service that was called has one", strings.Contains(l.MetricsText(), `hopscope_endpoints{cluster="payments"`), true)
	proxytest.Offer(t, a.Register, "later")
	l.AwaitAnswer("later", "/", 200, "later")
	l.Settle()
	proxytest.Same(t, "requests to later are counted", l.Scrape().Has("hopscope_requests_total", "cluster", "later"), true)
	a.Deregister(t, "later")
	l.AwaitAnswer("later", "/", 404, "(NR)")
	proxytest.Eventually(t, "the series of what went away being dropped", func() bool { return !strings.Contains(l.MetricsText(), `cluster="later"`) })
	l.Settle()
	proxytest.Same(t, "requests to payments are counted", l.Scrape().Has("hopscope_requests_total", "cluster", "payments"), true)
}

// What a person does to an endpoint over the admin API counts at once.
func TestEndpointsByHand(t *testing.T) {
	proxytest.NoLeaks(t)
	name := func(s string) string {
		return proxytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, s) })
	}
	a, b := name("a"), name("b")
	l := proxytest.StartYAML(t, `
listeners: [{name: ingress, address: "127.0.0.1:0", routes: [{cluster: web}]}]
clusters: {web: {endpoints: ["`+a+`", "`+b+`"]}}
`)
	admin := "http://" + l.AdminAddr().String() + "/clusters"
	answered := func() string {
		all := map[string]bool{}
		for range 6 {
			_, body := l.AskHost("", "/")
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
		if status, body := l.Call(tt.method, admin+tt.path, ""); status != tt.status || !strings.Contains(body, tt.part) {
			t.Errorf("%s %s: %d %s, want %d with %q", tt.method, tt.path, status, body, tt.status, tt.part)
		}
		if got := answered(); got != tt.want {
			t.Errorf("after %s %s: answered by %s, want %s", tt.method, tt.path, got, tt.want)
		}
	}
	l.Call("POST", admin+"/web/endpoints/"+a+"/drain", "")
	if _, text := l.Call("GET", admin, ""); !strings.Contains(text, `"why": "drained by hand"`) {
		t.Errorf("/clusters: %s", text)
	}
}

// The service and its sidecar are in Consul while the proxy runs, also when the
// agent has lost its memory, and are taken out when it ends.
func TestRegistration(t *testing.T) {
	a := backends.Consul(t, backends.ConsulOptions{})
	application := proxytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "well") })
	l := proxytest.StartYAML(t, `
service: web
consul: {address: "`+a.Address+`"}
register: {consul: {id: web-1, address: 127.0.0.1, tags: [v2], weight: 3, check: {http: "http://`+application+`/health", interval: 1s}}}
listeners: [{name: ingress, address: "127.0.0.1:0", routes: [{cluster: app}]}]
clusters: {app: {endpoints: ["`+application+`"]}}
`)
	port := int(l.Addr("ingress").Port())
	registered := func() bool {
		all, err := a.API(t).Agent().Services()
		if err != nil {
			return false
		}
		s, sidecar := all["web-1"], all["web-1-sidecar-proxy"]
		return s != nil && s.Port == port && len(s.Tags) == 1 && s.Weights.Passing == 3 &&
			sidecar != nil && sidecar.Kind == api.ServiceKindConnectProxy && sidecar.Port == port
	}
	proxytest.Eventually(t, "the service being registered", registered)
	proxytest.Eventually(t, "its check passing", func() bool {
		found, _, err := a.API(t).Health().Service("web", "v2", true, nil)
		return err == nil && len(found) == 1
	})
	a.Kill()
	a.Restart(t)
	proxytest.Eventually(t, "the service being registered again", registered)
	l.Stop()
	all, err := a.API(t).Agent().Services()
	if err != nil || len(all) != 0 {
		t.Errorf("%v, %v: want nothing to be left", all, err)
	}
}
