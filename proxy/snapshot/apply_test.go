package snapshot_test

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// silent is an address that takes connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// count is how many lines of the proxy's log have a text.
func count(l *proxytest.Proxy, text string) int { return strings.Count(l.Said.String(), text) }

// A reload waits for clusters that are new, and for no other: what is not known by now
// would only cost it time.
func TestReloadWaitsForWhatIsNew(t *testing.T) {
	proxytest.NoLeaks(t)
	agent, web := silent(t), proxytest.Serve(t, proxytest.Echo)
	text := func(more string) string {
		return fmt.Sprintf(`
consul: {address: %q}
listeners: [{name: ingress, address: "127.0.0.1:0", routes: [{cluster: web}]}]
clusters: {web: {endpoints: [%q]}, asked: {consul: {service: asked}}%s}
`, agent, web, more)
	}
	const late = "a cluster does not know its endpoints in time"
	l := proxytest.StartYAML(t, text(""))
	proxytest.Same(t, "clusters that were waited for", count(l, late), 1)
	reloadYAML(l, text("")+"drain: {timeout: 20s}\n")
	proxytest.Same(t, "after a reload that makes none", count(l, late), 1)
	reloadYAML(l, text(", second: {consul: {service: second}}"))
	proxytest.Same(t, "after a reload that makes one", count(l, late), 2)
}

// What happens to one service of the catalog does not touch another.
func TestCatalogTouchesOneClusterAlone(t *testing.T) {
	proxytest.NoLeaks(t)
	a := backends.Consul(t, backends.ConsulOptions{})
	proxytest.Offer(t, a.Register, "changing")
	address, opened := countingOpened(t)
	a.Register(t, proxytest.Registration("quiet", address))
	l := proxytest.StartYAML(t, fmt.Sprintf(`
service: mesh
consul: {address: %q}
listeners: [{name: ingress, address: "127.0.0.1:0", catalog: consul}]
`, a.Address))
	l.AwaitAnswer("changing", "/", 200, "changing")
	l.AwaitAnswer("quiet", "/", 200, "counted")
	idles(l, "quiet")
	updates, connections := clusterNamed(l, "quiet").Source.Updates, opened.Load()

	second := proxytest.Registration("changing", silent(t))
	second.ID = "second"
	a.Register(t, second)
	proxytest.Eventually(t, "the second endpoint", func() bool { return len(clusterNamed(l, "changing").Endpoints) == 2 })
	proxytest.Same(t, "changes of routes", count(l, "routes of the catalog changed"), 1)

	proxytest.Offer(t, a.Register, "new")
	l.AwaitAnswer("new", "/", 200, "new")
	a.Deregister(t, "changing")
	a.Deregister(t, "second")
	l.AwaitAnswer("changing", "/", 404, "(NR)")

	proxytest.Same(t, "updates of the quiet service", clusterNamed(l, "quiet").Source.Updates, updates)
	l.AwaitAnswer("quiet", "/", 200, "counted")
	proxytest.Same(t, "its connections", opened.Load(), connections)
}

// A service of the catalog whose TLS can't be made is closed and told of; others are
// served, and it is once the settings are right.
func TestCatalogOfAServiceThatCanNotBeMade(t *testing.T) {
	proxytest.NoLeaks(t)
	a := backends.Consul(t, backends.ConsulOptions{})
	proxytest.Offer(t, a.Register, "plain")
	proxytest.Offer(t, a.Register, "secret", "hopscope-route=secret.test/ proto=https")
	text := func(like string) string {
		return fmt.Sprintf(`
consul: {address: %q}
catalog: {like: template}
listeners: [{name: ingress, address: "127.0.0.1:0", catalog: consul}]
clusters: {template: {%s}}
`, a.Address, like)
	}
	l := proxytest.StartYAML(t, text("tls: {ca: missing.pem}"))
	for _, like := range []string{"tls: {ca: missing.pem}, connect_timeout: 7s", "tls: {ca: missing.pem}, connect_timeout: 8s"} {
		l.AwaitAnswer("plain", "/", 200, "plain")
		l.AwaitAnswer("secret.test", "/", 403, "")
		reloadYAML(l, text(like))
	}
	l.AwaitAnswer("plain", "/", 200, "plain")
	l.AwaitAnswer("secret.test", "/", 403, "")
	if n := count(l, "a service of the catalog can't be served"); n != 3 {
		t.Errorf("the log tells of it %d times, want once for each configuration", n)
	}
	reloadYAML(l, text("tls: {insecure_skip_verify: true}"))
	l.AwaitAnswer("secret.test", "/", 503, "") // the endpoint speaks plain text
	l.AwaitAnswer("plain", "/", 200, "plain")
}

// A catalog that changes while configurations come and go costs no request, and leaves
// nothing behind of what it has no more.
func TestReloadWhileTheCatalogChanges(t *testing.T) {
	proxytest.NoLeaks(t)
	a := backends.Consul(t, backends.ConsulOptions{})
	a.Register(t, proxytest.Registration("a", proxytest.Serve(t, proxytest.Echo)))
	text := func(round int) string {
		return fmt.Sprintf(`
consul: {address: %q}
catalog: {like: template}
listeners: [{name: ingress, address: "127.0.0.1:0", catalog: consul}]
clusters: {template: {connect_timeout: %ds}, own: {endpoints: ["127.0.0.1:%d"]}}
`, a.Address, 5+round%2, 1+round)
	}
	l := proxytest.StartYAML(t, text(0))
	l.AwaitAnswer("a", "/", 200, "")
	load := newClients(t, l.Ingress())
	load.served()
	for round := range 8 {
		come, gone := fmt.Sprintf("service-%d", round), fmt.Sprintf("service-%d", round-1)
		a.Register(t, proxytest.Registration(come, "127.0.0.1:1", "hopscope-route=/"+come))
		reloadYAML(l, text(round+1))
		if round > 0 {
			a.Deregister(t, gone)
		}
		l.AwaitAnswer(come, "/", 503, "(UF)")
	}
	proxytest.Eventually(t, "the service before being gone", func() bool { return clusterNamed(l, "service-6").Name == "" })
	load.end()
	drained(l)
	var all []shown
	l.AdminJSON("/clusters", &all)
	var names []string
	for _, c := range all {
		names = append(names, c.Name)
	}
	proxytest.Same(t, "clusters", fmt.Sprint(names), "[own a service-7]")
}
