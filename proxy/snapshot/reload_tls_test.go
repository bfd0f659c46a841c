package snapshot_test

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestReloadTLS: connections stay where TLS does, sessions can be resumed where
// its settings are the same, and another certificate counts from the next
// connection on.
func TestReloadTLS(t *testing.T) {
	proxytest.NoLeaks(t)
	ca := proxytest.NewAuthority(t)
	one, two := ca.Issue("web.test"), ca.Issue("other.test")
	address := proxytest.Serve(t, proxytest.Echo)
	with := func(cert config.Certificate, change func(*config.Listener)) *config.Config {
		return proxytest.NewConfig(t, address, func(c *config.Config) {
			proxytest.ListenTLS(&c.Listeners[0], cert)
			change(&c.Listeners[0])
		})
	}
	rig := proxytest.StartConfig(t, with(one, func(*config.Listener) {}))
	client := ca.ClientConfig("web.test")
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	c := proxytest.DialTLS(t, rig.Ingress(), client)
	exchange := func(c *proxytest.TLSPeer) (last bool) {
		t.Helper()
		c.Send(proxytest.RootRequest)
		resp, _ := c.ReadResponse("GET")
		proxytest.Same(t, "status", resp.StatusCode, 200)
		return resp.Close
	}
	exchange(c)

	rig.MustReload(with(one, func(l *config.Listener) { l.Routes[0].Timeout = time.Minute }))
	proxytest.Same(t, "new routes: the connection ends", exchange(c), false)

	rig.MustReload(with(one, func(l *config.Listener) { l.IdleTimeout = time.Minute }))
	proxytest.Same(t, "a new limit: the connection ends", exchange(c), true)
	c.Close()
	c = proxytest.DialTLS(t, rig.Ingress(), client)
	proxytest.Same(t, "the session is resumed", c.TLS.ConnectionState().DidResume, true)

	rig.MustReload(with(two, func(*config.Listener) {}))
	proxytest.Same(t, "a new certificate: the connection ends", exchange(c), true)
	c.Close()
	c = proxytest.DialTLS(t, rig.Ingress(), ca.ClientConfig("other.test"))
	proxytest.Same(t, "a new certificate: the next connection ends", exchange(c), false)
	c.Close()
	drained(rig)
}
