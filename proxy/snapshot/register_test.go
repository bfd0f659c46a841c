package snapshot_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// A reload registers the service anew where something else is to be registered: the
// check of the application goes by the first endpoint. All else leaves it alone.
func TestReloadRegistersWhatChanged(t *testing.T) {
	proxytest.NoLeaks(t)
	a := backends.Consul(t, backends.ConsulOptions{})
	first, second := proxytest.Serve(t, proxytest.Echo), proxytest.Serve(t, proxytest.Echo)
	text := func(listener, endpoint string) string {
		return fmt.Sprintf(`
service: web
consul: {address: %q}
register: {consul: {id: web-1, address: 127.0.0.1}}
listeners: [{name: ingress, address: "127.0.0.1:0", routes: [{cluster: web}]%s}]
clusters: {web: {endpoints: [%q]}}
`, a.Address, listener, endpoint)
	}
	l := proxytest.StartYAML(t, text("", first))
	proxytest.Eventually(t, "the registration", func() bool { return strings.Contains(l.Said.String(), `msg="registered in Consul"`) })
	reloadYAML(l, text(", via: false", first))
	reloadYAML(l, text(", via: false", second))
	proxytest.Eventually(t, "the change of the check", func() bool {
		return strings.Contains(l.Said.String(), `msg="changed what was registered in Consul" service=web changed="web-1: checks"`)
	})
	proxytest.Same(t, "registrations of what is the same", count(l, "registered in Consul already"), 0)
}

// An agent on another machine, or in another container, reaches the proxy where others do,
// and not on its own loopback interface.
func TestTheAgentChecksTheProxyWhereOthersReachIt(t *testing.T) {
	proxytest.NoLeaks(t)
	a := backends.Consul(t, backends.ConsulOptions{})
	const others = "127.0.0.2"
	proxytest.StartYAML(t, fmt.Sprintf(`
service: web
consul: {address: %q}
register: {consul: {id: web-1, address: %s, check: {tcp: %q, interval: 1s}}}
listeners: [{name: ingress, address: "0.0.0.0:0", routes: [{cluster: web}]}]
clusters: {web: {endpoints: ["127.0.0.1:1"]}}
`, a.Address, others, proxytest.Serve(t, proxytest.Echo)))
	proxytest.Eventually(t, "the agent connects to "+others, func() bool {
		checks, err := a.API(t).Agent().Checks() // the catalog hears later of what it said
		proxy := checks["service:web-1:proxy"]
		return err == nil && proxy != nil && strings.HasPrefix(proxy.Output, "TCP connect "+others) && proxy.Status == "passing"
	})
}
