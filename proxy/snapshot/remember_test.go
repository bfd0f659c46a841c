package snapshot_test

import (
	"fmt"
	"net"
	"testing"

	"github.com/hopscope/hopscope/deploy/backends"
)

// A reload changes nothing of what is known of a catalogue that can't be asked: its
// routes stay, and, where the settings that they depend on do, the connections, and
// what was done to endpoints by hand.
func TestReloadKeepsTheCatalogue(t *testing.T) {
	noLeaks(t)
	a := backends.Consul(t, backends.ConsulOptions{})
	offer(t, a, "payments", "hopscope-route=shop.test/cart strip=/cart")
	address, opened := countingOpened(t)
	a.Register(t, registrationOf("counted", address))
	a.Register(t, registrationOf("closed", "127.0.0.1:1"))
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
	l := startConfigured(t, plain)
	l.answers("counted", "/", 200, "counted")
	l.answers("shop.test", "/cart/x", 200, "payments /x")
	l.answers("closed", "/", 503, "(UF)")
	act := "http://" + l.proxy.AdminAddr().String() + "/clusters/closed/endpoints/127.0.0.1:1/drain"
	if status, body := l.call("POST", act, ""); status != 200 {
		t.Fatalf("drain: %d %s", status, body)
	}
	l.answers("closed", "/", 503, "(UH)")
	a.Kill()
	eventually(t, "Consul being missed", func() bool { return l.catalogSource().Stale })
	eventually(t, "its clusters being stale", func() bool { return l.clusterNamed("counted").Source.Stale })

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
		l.idles("counted")
		l.reload(tt.text)
		for host, want := range map[string]string{"counted": "counted", "counted.mesh.test": "counted", "payments": "payments"} {
			if status, body := l.askFor(host, "/"); status != 200 {
				t.Errorf("%s changed: %s is answered %d %s, want %q", tt.name, host, status, body, want)
			}
			l.idles("counted")
		}
		if status, body := l.askFor("shop.test", "/cart/x"); status != 200 {
			t.Errorf("%s changed: a tag's route is answered %d %s", tt.name, status, body)
		}
		if status, body := l.askFor("closed", "/"); status != 503 {
			t.Errorf("%s changed: %d %s", tt.name, status, body)
		} else if why := l.clusterNamed("closed").Endpoints[0].Why; why != "drained by hand" {
			t.Errorf("%s changed: the endpoint that was drained by hand is %q", tt.name, why)
		}
		if n := opened.Load(); (n != connections) != tt.fresh {
			t.Errorf("%s changed: %d connections were opened before, and now %d", tt.name, connections, n)
		}
		connections = opened.Load()
		if s := l.catalogSource(); !s.Known || !s.Stale {
			t.Errorf("%s changed: the catalogue is %+v", tt.name, s)
		}
	}
	l.metric(`hopscope_discovery_known{cluster="",service="mesh",source="the catalogue of Consul"} 1`)
	l.metric(`hopscope_discovery_stale{cluster="",service="mesh",source="the catalogue of Consul"} 1`)
	l.metric(`hopscope_discovery_stale{cluster="counted",service="mesh",source="the catalogue"} 1`)
	l.countsRequests("counted", true)

	a.Restart(t) // empty
	offer(t, a, "later")
	l.answers("later", "/", 200, "later")
	l.answers("counted", "/", 200, "counted")
	l.reload(plain)
	l.answers("later", "/", 200, "later")
	l.answers("counted", "/", 200, "counted")
	a.Register(t, registrationOf("counted", address))
	a.Deregister(t, "later")
	l.answers("later", "/", 404, "(NR)")
}

// No request is lost by reloads of any kind while the catalogue's source is away.
func TestReloadOfTheCatalogueUnderLoad(t *testing.T) {
	noLeaks(t)
	var l *lab
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
	clients := newClients(t, l.ingress())
	counted := func() int { return int(l.scrape().sum("hopscope_requests_total", "cluster", "a")) }
	before := counted()
	clients.served()
	clients.served()
	clients.after(20)
	for i, like := range []string{"connect_timeout: 1s", "connect_timeout: 2s", "balance: {policy: random}", "outlier: {}", "health_checks: [{tcp: {}}]", ""} {
		l.reload(fmt.Sprintf(text(fmt.Sprintf("drain: {timeout: %ds}", 10+i), like), a.Address))
		clients.after(20)
	}
	n := int(clients.end())
	l.becomesOneGeneration()
	l.settle()
	if got := counted() - before; got != n {
		t.Errorf("%d requests are counted, want %d", got, n)
	}
}

// Routes of the catalogue that are there before the proxy has started, as when another
// source keeps it waiting, are counted like all others.
func TestCatalogueBeforeTheStartIsCounted(t *testing.T) {
	noLeaks(t)
	a := backends.Consul(t, backends.ConsulOptions{})
	offer(t, a, "payments")
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	l := startConfigured(t, `
consul: {address: "`+a.Address+`"}
listeners: [{name: ingress, address: "127.0.0.1:0", catalog: consul, routes: [{match: {hosts: [slow.test]}, cluster: slow}]}]
clusters: {slow: {consul: {service: web, address: "`+silent.Addr().String()+`"}}}
`)
	l.answers("payments", "/", 200, "payments")
	l.countsRequests("payments", true)
}

// A cluster whose settings change begins with the endpoints that it had, while their
// source is away; a cluster of another name that asks the same does too.
func TestReloadKeepsWhatSourcesSaid(t *testing.T) {
	noLeaks(t)
	a := backends.Consul(t, backends.ConsulOptions{})
	offer(t, a, "payments")
	text := func(name, settings string) string {
		return `
consul: {address: "` + a.Address + `"}
listeners: [{name: ingress, address: "127.0.0.1:0", routes: [{cluster: ` + name + `}]}]
clusters: {` + name + `: {consul: {service: payments` + settings + `}}
`
	}
	l := startConfigured(t, text("web", "}"))
	l.answers("", "/", 200, "payments")
	a.Kill()
	eventually(t, "Consul being missed", func() bool { return l.clusterNamed("web").Source.Stale })
	for _, tt := range [][2]string{
		{"web", "}, connect_timeout: 1s"}, {"web", "}, balance: {policy: random}"}, {"web", ", wait: 1m}"}, {"other", "}"}, {"other", ", near: _agent}"},
	} {
		l.reload(text(tt[0], tt[1]))
		if status, body := l.askFor("", "/"); status != 200 {
			t.Errorf("%v: %d %s", tt, status, body)
		}
		if s := l.clusterNamed(tt[0]).Source; !s.Known || !s.Stale {
			t.Errorf("%v: the source is %+v", tt, s)
		}
	}
	a.Restart(t)
	offer(t, a, "payments")
	eventually(t, "the source being fresh", func() bool {
		s := l.clusterNamed("other").Source
		return !s.Stale && !s.Remembered
	})
	l.answers("", "/", 200, "payments")
}

// What nobody has ever said is not known, which is another answer than that there is
// nothing: a client may try again, and a balancer in front may wait.
func TestCatalogueThatWasNeverReached(t *testing.T) {
	noLeaks(t)
	a := backends.Consul(t, backends.ConsulOptions{})
	a.Kill()
	own, _ := countingOpened(t)
	l := startConfigured(t, `
service: mesh
consul: {address: "`+a.Address+`"}
catalog: {suffixes: [mesh.test]}
listeners:
  - {name: ingress, address: "127.0.0.1:0", catalog: consul, routes: [{match: {hosts: [own.test]}, cluster: own}, {match: {hosts: [asked.test]}, cluster: asked}]}
  - {name: egress, address: "127.0.0.1:0", catalog: consul, forward_proxy: {}}
clusters: {own: {endpoints: ["`+own+`"]}, asked: {consul: {service: payments}}}
`)
	for host, part := range map[string]string{"payments": "catalog of Consul", "shop.test": "catalog of Consul", "asked.test": "cluster asked has no endpoint"} {
		status, body := l.askFor(host, "/")
		if status != 503 || !contains(body, "(UH)", part) {
			t.Errorf("%s: %d %s, want 503, UH and %q", host, status, body, part)
		}
	}
	if status, body := l.askFor("own.test", "/"); status != 200 {
		t.Errorf("a route of the configuration: %d %s", status, body)
	}
	egress := "http://" + l.proxy.Addr("egress").String() + "/"
	for host, want := range map[string]int{"payments": 503, "payments.service.consul": 503, "PAYMENTS.mesh.test.:80": 503} {
		if status, body := l.call("GET", egress, host); status != want || !contains(body, "catalog of Consul") {
			t.Errorf("%s by the forward proxy: %d %s", host, status, body)
		}
	}
	if status, grpc := l.grpcStatusFor("payments"); grpc != "14" {
		t.Errorf("a gRPC call: status %d, grpc-status %q, want UNAVAILABLE", status, grpc)
	}
	l.notReady("catalog of Consul")
	l.notReady("cluster asked")
	l.metric(`hopscope_discovery_known{cluster="",service="mesh",source="the catalogue of Consul"} 0`)
	l.metric(`hopscope_discovery_known{cluster="asked",service="mesh",source="Consul"} 0`)
	l.metric(`hopscope_discovery_known{cluster="own",service="mesh",source="the configuration"} 1`)
	if s := l.catalogSource(); s.Known || !s.Stale || s.Error == "" {
		t.Errorf("/catalog: %+v", s)
	}

	a.Restart(t)
	offer(t, a, "payments")
	l.answers("payments", "/", 200, "payments")
	l.answers("asked.test", "/", 200, "payments")
	l.answers("shop.test", "/", 404, "(NR)")
	l.becomesReady()
	l.metric(`hopscope_discovery_known{cluster="",service="mesh",source="the catalogue of Consul"} 1`)
	a.Kill()
	eventually(t, "Consul being missed", func() bool { return l.catalogSource().Stale })
	l.becomesReady() // what is known is enough
}
