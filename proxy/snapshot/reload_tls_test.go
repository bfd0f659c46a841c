package snapshot_test

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
)

// TestReloadTLS: connections stay where TLS does, sessions can be resumed where
// its settings are the same, and another certificate counts from the next
// connection on.
func TestReloadTLS(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	one, two := ca.issue("web.test"), ca.issue("other.test")
	address := goServer(t, echo)
	with := func(cert config.Certificate, change func(*config.Listener)) *config.Config {
		return configured(t, address, func(c *config.Config) {
			listenTLS(&c.Listeners[0], cert)
			change(&c.Listeners[0])
		})
	}
	rig := startReloading(t, with(one, func(*config.Listener) {}))
	client := ca.trusting("web.test")
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	c := dialSecure(t, rig.ingress(), client)
	exchange := func(c *securePeer) (last bool) {
		t.Helper()
		c.send(getRoot)
		resp, _ := c.response("GET")
		same(t, "status", resp.StatusCode, 200)
		return resp.Close
	}
	exchange(c)

	rig.reload(with(one, func(l *config.Listener) { l.Routes[0].Timeout = time.Minute }))
	same(t, "new routes: the connection ends", exchange(c), false)

	rig.reload(with(one, func(l *config.Listener) { l.IdleTimeout = time.Minute }))
	same(t, "a new limit: the connection ends", exchange(c), true)
	c.Close()
	c = dialSecure(t, rig.ingress(), client)
	same(t, "the session is resumed", c.tls.ConnectionState().DidResume, true)

	rig.reload(with(two, func(*config.Listener) {}))
	same(t, "a new certificate: the connection ends", exchange(c), true)
	c.Close()
	c = dialSecure(t, rig.ingress(), ca.trusting("other.test"))
	same(t, "a new certificate: the next connection ends", exchange(c), false)
	c.Close()
	rig.drained()
}
