package snapshot_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// Encrypted connections stay, with what they are encrypted by, when other settings of
// their cluster change, be it of the configuration or of the catalog.
func TestReloadKeepsSecureConnections(t *testing.T) {
	proxytest.NoLeaks(t)
	ca := proxytest.NewAuthority(t)
	api := ca.Issue("127.0.0.1")
	address := proxytest.ServeTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.Load(api)}}, false, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.RemoteAddr)
	})
	a := backends.Consul(t, backends.ConsulOptions{})
	a.Register(t, proxytest.Registration("payments", address, "hopscope-route=tagged.test/ proto=https"))
	text := func(tls, settings string) string {
		return fmt.Sprintf(`
consul: {address: %q}
catalog: {like: web}
listeners: [{name: ingress, address: "127.0.0.1:0", catalog: consul, routes: [{match: {hosts: [own.test]}, cluster: web}]}]
clusters: {web: {endpoints: [%q], tls: {ca: %q%s}%s}}
`, a.Address, address, ca.File, tls, settings)
	}
	l := proxytest.StartYAML(t, text("", ""))
	l.AwaitAnswer("tagged.test", "/", 200, "127.0.0.1")
	idles(l, "payments")
	connections := func() string {
		t.Helper()
		all := ""
		for _, of := range [][2]string{{"own.test", "web"}, {"tagged.test", "payments"}} {
			host, cluster := of[0], of[1]
			status, body := l.AskHost(host, "/")
			if status != 200 {
				t.Errorf("%s: %d %s", host, status, body)
			}
			idles(l, cluster)
			all += body + " "
		}
		return all
	}
	before := connections()
	for _, tt := range []struct {
		tls, settings string
		fresh         bool
	}{
		{"", ", circuit_breaker: {max_requests: 7}", false},
		{"", ", balance: {policy: random}", false},
		{"", ", balance: {policy: random}, health_checks: [{tcp: {}, interval: 1s}]", false},
		{`, min_version: "1.3"`, ", balance: {policy: random}", true},
		{`, min_version: "1.3"`, "", false},
	} {
		reloadYAML(l, text(tt.tls, tt.settings))
		after := connections()
		if (after != before) != tt.fresh {
			t.Errorf("with %+v the connections were %s, and now are %s", tt, before, after)
		}
		before = after
	}
	drained(l)
	connections() // and what they are encrypted by is still open
}
