package snapshot_test

import (
	"fmt"
	"net"
	"testing"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// A reload changes nothing of what is known of a catalog that can't be asked: its
// routes stay, and, where the settings that they depend on do, the connections, and
// what was done to endpoints by hand.
func TestReloadKeepsTheCatalog(t *testing.T) {
	proxytest.NoLeaks(t)
	a := backends.Consul(t, backends.ConsulOptions{})
	proxytest.Offer(t, a.Register, "payments", "hopscope-route=shop.test/cart strip=/cart")
	address, opened := countingOpened(t)
	a.Register(t, proxytest.Registration("counted", address))
	a.Register(t, proxytest.Registration("closed", "127.0.0.1:1"))
	text := func(consul, top, listener, like string) string {
		return `
service: mesh
consul: {address: "` + a.Address + `"` + consul + `}
` + top + `
catalog: {suffixes: [mesh.test], like: template}
listeners: [{name: ingress, address: "127.0.0.1:0", catalog: consul` + listener + `}]
clusters: {template: {` + like + `}}
`
	}
	plain := text("", "", "", "endpoints: [127.0.0.1:1]")
	l := proxytest.StartYAML(t, plain)
	l.AwaitAnswer("counted", "/", 200, "counted")
	l.AwaitAnswer("shop.test", "/cart/x", 200, "payments /x")
	l.AwaitAnswer("closed", "/", 503, "(UF)")
	act := "http://" + l.AdminAddr().String() + "/clusters/closed/endpoints/127.0.0.1:1/drain"
	if status, body := l.Call("POST", act, ""); status != 200 {
		t.Fatalf("drain: %d %s", status, body)
	}
	l.AwaitAnswer("closed", "/", 503, "(UH)")
	a.Kill()
	proxytest.Eventually(t, "Consul being missed", func() bool { return catalogSource(l).Stale })
	proxytest.Eventually(t, "its clusters being stale", func() bool { return clusterNamed(l, "counted").Source.Stale })

	connections := opened.Load()
	for _, tt := range []struct {
		name, text string
		fresh      bool // connections are made anew
	}{
		{"nothing of it", text("", "log: {level: warn}", "", "endpoints: [127.0.0.1:1]"), false},
		{"again", text("", "drain: {timeout: 20s}", "", "endpoints: [127.0.0.1:1]"), false},
		{"another template without endpoints", text("", "", "", "retry: {on: [reset], attempts: 2}"), false},
		{"a listener's own settings", text("", "", ", max_connections: 7", "retry: {on: [reset], attempts: 2}"), false},
		{"how the agent is asked", text(", wait: 1m", "", "", "retry: {on: [reset], attempts: 2}"), false},
		{"balancing", text(", wait: 1m", "", "", "balance: {policy: peak_ewma}"), false},
		{"circuit breakers", text(", wait: 1m", "", "", "circuit_breaker: {max_requests: 7}"), false},
		{"outliers", text(", wait: 1m", "", "", "outlier: {consecutive_5xx: 7}"), false},
		{"connections", text(", wait: 1m", "", "", "connect_timeout: 7s"), true},
	} {
		idles(l, "counted")
		reloadYAML(l, tt.text)
		for host, want := range map[string]string{"counted": "counted", "counted.mesh.test": "counted", "payments": "payments"} {
			if status, body := l.AskHost(host, "/"); status != 200 {
				t.Errorf("%s changed: %s is answered %d %s, want %q", tt.name, host, status, body, want)
			}
			idles(l, "counted")
		}
		if status, body := l.AskHost("shop.test", "/cart/x"); status != 200 {
			t.Errorf("%s changed: a tag's route is answered %d %s", tt.name, status, body)
		}
		if status, body := l.AskHost("closed", "/"); status != 503 {
			t.Errorf("%s changed: %d %s", tt.name, status, body)
		} else if why := clusterNamed(l, "closed").Endpoints[0].Why; why != "drained by hand" {
			t.Errorf("%s changed: the endpoint that was drained by hand is %q", tt.name, why)
		}
		if n := opened.Load(); (n != connections) != tt.fresh {
			t.Errorf("%s changed: %d connections were opened before, and now %d", tt.name, connections, n)
		}
		connections = opened.Load()
		if s := catalogSource(l); !s.Known || !s.Stale {
			t.Errorf("%s changed: the catalog is %+v", tt.name, s)
		}
	}
	metric(l, `hopscope_discovery_known{cluster="",service="mesh",source="the catalog of Consul"} 1`)
	metric(l, `hopscope_discovery_stale{cluster="",service="mesh",source="the catalog of Consul"} 1`)
	metric(l, `hopscope_discovery_stale{cluster="counted",service="mesh",source="the catalog"} 1`)
	l.Settle()
	proxytest.Same(t, "requests to counted are counted", l.Scrape().Has("hopscope_requests_total", "cluster", "counted"), true)

	a.Restart(t) // empty
	proxytest.Offer(t, a.Register, "later")
	l.AwaitAnswer("later", "/", 200, "later")
	l.AwaitAnswer("counted", "/", 200, "counted")
	reloadYAML(l, plain)
	l.AwaitAnswer("later", "/", 200, "later")
	l.AwaitAnswer("counted", "/", 200, "counted")
	a.Register(t, proxytest.Registration("counted", address))
	a.Deregister(t, "later")
	l.AwaitAnswer("later", "/", 404, "(NR)")
}

// No request is lost by reloads of any kind while the catalog's source is away.
func TestReloadOfTheCatalogUnderLoad(t *testing.T) {
	proxytest.NoLeaks(t)
	var l *proxytest.Proxy
	text := func(extra, like string) string {
		return `
consul: {address: "%s"}
` + extra + `
catalog: {like: template}
listeners: [{name: ingress, address: "127.0.0.1:0", catalog: consul}]
clusters: {template: {` + like + `}}
`
	}
	a := deadAgent(t, &l, text("", ""), "a")
	clients := newClients(t, l.Ingress())
	counted := func() int { return int(l.Scrape().Sum("hopscope_requests_total", "cluster", "a")) }
	before := counted()
	clients.served()
	clients.served()
	clients.after(20)
	for i, like := range []string{"connect_timeout: 1s", "connect_timeout: 2s", "balance: {policy: random}", "outlier: {}", "health_checks: [{tcp: {}}]", ""} {
		reloadYAML(l, fmt.Sprintf(text(fmt.Sprintf("drain: {timeout: %ds}", 10+i), like), a.Address))
		clients.after(20)
	}
	n := int(clients.end())
	drained(l)
	l.Settle()
	if got := counted() - before; got != n {
		t.Errorf("%d requests are counted, want %d", got, n)
	}
}

// Routes of the catalog that are there before the proxy has started, as when another
// source keeps it waiting, are counted like all others.
func TestCatalogBeforeTheStartIsCounted(t *testing.T) {
	proxytest.NoLeaks(t)
	a := backends.Consul(t, backends.ConsulOptions{})
	proxytest.Offer(t, a.Register, "payments")
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	l := proxytest.StartYAML(t, `
consul: {address: "`+a.Address+`"}
listeners: [{name: ingress, address: "127.0.0.1:0", catalog: consul, routes: [{match: {hosts: [slow.test]}, cluster: slow}]}]
clusters: {slow: {consul: {service: web, address: "`+silent.Addr().String()+`"}}}
`)
	l.AwaitAnswer("payments", "/", 200, "payments")
	l.Settle()
	proxytest.Same(t, "requests to payments are counted", l.Scrape().Has("hopscope_requests_total", "cluster", "payments"), true)
}

// A cluster whose settings change begins with the endpoints that it had, while their
// source is away; a cluster of another name that asks the same does too.
func TestReloadKeepsWhatSourcesSaid(t *testing.T) {
	proxytest.NoLeaks(t)
	a := backends.Consul(t, backends.ConsulOptions{})
	proxytest.Offer(t, a.Register, "payments")
	text := func(name, settings string) string {
		return `
consul: {address: "` + a.Address + `"}
listeners: [{name: ingress, address: "127.0.0.1:0", routes: [{cluster: ` + name + `}]}]
clusters: {` + name + `: {consul: {service: payments` + settings + `}}
`
	}
	l := proxytest.StartYAML(t, text("web", "}"))
	l.AwaitAnswer("", "/", 200, "payments")
	a.Kill()
	proxytest.Eventually(t, "Consul being missed", func() bool { return clusterNamed(l, "web").Source.Stale })
	for _, tt := range [][2]string{
		{"web", "}, connect_timeout: 1s"}, {"web", "}, balance: {policy: random}"}, {"web", ", wait: 1m}"}, {"other", "}"}, {"other", ", near: _agent}"},
	} {
		reloadYAML(l, text(tt[0], tt[1]))
		if status, body := l.AskHost("", "/"); status != 200 {
			t.Errorf("%v: %d %s", tt, status, body)
		}
		if s := clusterNamed(l, tt[0]).Source; !s.Known || !s.Stale {
			t.Errorf("%v: the source is %+v", tt, s)
		}
	}
	a.Restart(t)
	proxytest.Offer(t, a.Register, "payments")
	proxytest.Eventually(t, "the source being fresh", func() bool {
		s := clusterNamed(l, "other").Source
		return !s.Stale && !s.Remembered
	})
	l.AwaitAnswer("", "/", 200, "payments")
}

// What nobody has ever said is not known, which is another answer than that there is
// nothing: a client may try again, and a balancer in front may wait.
func TestCatalogThatWasNeverReached(t *testing.T) {
	proxytest.NoLeaks(t)
	a := backends.Consul(t, backends.ConsulOptions{})
	a.Kill()
	own, _ := countingOpened(t)
	l := proxytest.StartYAML(t, `
service: mesh
consul: {address: "`+a.Address+`"}
catalog: {suffixes: [mesh.test]}
listeners:
  - {name: ingress, address: "127.0.0.1:0", catalog: consul, routes: [{match: {hosts: [own.test]}, cluster: own}, {match: {hosts: [asked.test]}, cluster: asked}]}
  - {name: egress, address: "127.0.0.1:0", catalog: consul, forward_proxy: {}}
clusters: {own: {endpoints: ["`+own+`"]}, asked: {consul: {service: payments}}}
`)
	for host, part := range map[string]string{"payments": "catalog of Consul", "shop.test": "catalog of Consul", "asked.test": "cluster asked has no endpoint"} {
		status, body := l.AskHost(host, "/")
		if status != 503 || !proxytest.ContainsAll(body, "(UH)", part) {
			t.Errorf("%s: %d %s, want 503, UH and %q", host, status, body, part)
		}
	}
	if status, body := l.AskHost("own.test", "/"); status != 200 {
		t.Errorf("a route of the configuration: %d %s", status, body)
	}
	egress := "http://" + l.Addr("egress").String() + "/"
	for host, want := range map[string]int{"payments": 503, "payments.service.consul": 503, "PAYMENTS.mesh.test.:80": 503} {
		if status, body := l.Call("GET", egress, host); status != want || !proxytest.ContainsAll(body, "catalog of Consul") {
			t.Errorf("%s by the forward proxy: %d %s", host, status, body)
		}
	}
	if status, grpc := grpcStatusFor(l, "payments"); grpc != "14" {
		t.Errorf("a gRPC call: status %d, grpc-status %q, want UNAVAILABLE", status, grpc)
	}
	notReady(l, "catalog of Consul")
	notReady(l, "cluster asked")
	metric(l, `hopscope_discovery_known{cluster="",service="mesh",source="the catalog of Consul"} 0`)
	metric(l, `hopscope_discovery_known{cluster="asked",service="mesh",source="Consul"} 0`)
	metric(l, `hopscope_discovery_known{cluster="own",service="mesh",source="the configuration"} 1`)
	if s := catalogSource(l); s.Known || !s.Stale || s.Error == "" {
		t.Errorf("/catalog: %+v", s)
	}

	a.Restart(t)
	proxytest.Offer(t, a.Register, "payments")
	l.AwaitAnswer("payments", "/", 200, "payments")
	l.AwaitAnswer("asked.test", "/", 200, "payments")
	l.AwaitAnswer("shop.test", "/", 404, "(NR)")
	becomesReady(l)
	metric(l, `hopscope_discovery_known{cluster="",service="mesh",source="the catalog of Consul"} 1`)
	a.Kill()
	proxytest.Eventually(t, "Consul being missed", func() bool { return catalogSource(l).Stale })
	becomesReady(l) // what is known is enough
}
