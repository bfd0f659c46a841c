package snapshot_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// reloads waits until files have been loaded so many times, well or not.
func (l *rig) reloads(kind, name, result string, n float64) {
	l.t.Helper()
	eventually(l.t, fmt.Sprintf("%g reloads of %s %s, %s", n, kind, name, result), func() bool {
		return l.scrape().sum("hopscope_tls_reloads_total", "service", "front", "kind", kind, "name", name, "result", result) >= n
	})
}

// TestTLSReloadUnderLoad: certificates are renewed while clients come, go and
// stay. None of them notices, and who comes then gets the new one.
func TestTLSReloadUnderLoad(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	front, api := ca.issue("web.test"), ca.issue("127.0.0.1")
	mine := ca.issue("spiffe://mesh/front")
	l := startLab(t, secureServer(t, &tls.Config{
		Certificates: []tls.Certificate{ca.load(api)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool(),
	}, false, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/close" {
			w.Header().Set("Connection", "close")
		}
		fmt.Fprint(w, r.TLS.PeerCertificates[0].SerialNumber)
	}), func(s *settings) {
		listenTLS(&s.Listener, front)
		c := speaking(s, ca.File)
		c.Cert, c.Key = mine.Cert, mine.Key
	})
	var stop atomic.Bool
	var asked atomic.Int64
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			c := ca.trusting("web.test")
			var p *securePeer
			for n := 0; !stop.Load() && !t.Failed(); n++ {
				if p == nil {
					var err error
					if p, err = tryDialSecure(t, l.ingress(), c); err != nil {
						t.Errorf("handshake: %v", err)
						return
					}
					p.fail = quits(t)
				}
				path := "/"
				if n%8 == 7 {
					path = "/close" // so the proxy, too, has new connections to make
				}
				p.send("GET ", path, " HTTP/1.1\r\nHost: web.test\r\n\r\n")
				p.ok()
				asked.Add(1)
				if i%2 == 0 && n%4 == 3 { // two stay for the whole time
					p.Close()
					p = nil
				}
			}
			if p != nil {
				p.Close()
			}
		})
	}
	serial := func() string { // of the endpoint's client, over a fresh connection
		_, body := askSecure(t, l.ingress(), ca.trusting("web.test"), "GET /close HTTP/1.1\r\nHost: web.test\r\n\r\n")
		return body
	}
	shown := func() string {
		p := dialSecure(t, l.ingress(), ca.trusting("web.test"))
		defer p.Close()
		return p.tls.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	for i := 1.0; i <= 4; i++ {
		next, nextMine := ca.issue("web.test"), ca.issue("spiffe://mesh/front")
		before := asked.Load()
		swapFiles(t, next, front)
		swapFiles(t, nextMine, mine)
		want, wantMine := leafOf(t, next.Cert).SerialNumber.String(), leafOf(t, nextMine.Cert).SerialNumber.String()
		eventually(t, "the listener's new certificate", func() bool { return shown() == want })
		eventually(t, "the cluster's new certificate", func() bool { return serial() == wantMine })
		eventually(t, "requests meanwhile", func() bool { return asked.Load() > before+20 || t.Failed() })
		expiry := l.scrape().sum("hopscope_tls_certificate_expiry_timestamp_seconds", "kind", "listener", "name", "ingress")
		same(t, "expiry in the metrics", int64(expiry), leafOf(t, next.Cert).NotAfter.Unix())
	}
	stop.Store(true)
	wg.Wait()
	l.reloads("listener", "ingress", "success", 1)
	l.reloads("cluster", "web", "success", 1)
	m := l.scrape()
	same(t, "requests that did not end in 200", m.sum("hopscope_requests_total")-m.sum("hopscope_requests_total", "code", "200", "flag", ""), 0)
	same(t, "attempts that did not end in 200", m.sum("hopscope_attempts_total")-m.sum("hopscope_attempts_total", "code", "200", "flag", ""), 0)
	same(t, "connections that failed", m.sum("hopscope_connection_failures_total"), 0)
}

// A file that is of no use leaves the one before in use, and is told of.
func TestTLSReloadOfNoUse(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	front, mine := ca.issue("web.test"), ca.issue("front.test")
	good, another := ca.issue("web.test"), ca.issue("web.test")
	l := startLab(t, secureServer(t, &tls.Config{Certificates: []tls.Certificate{ca.load(ca.issue("127.0.0.1"))}}, false, echo), func(s *settings) {
		listenTLS(&s.Listener, front)
		c := speaking(s, ca.File)
		c.Cert, c.Key = mine.Cert, mine.Key
	})
	serial := leafOf(t, front.Cert).SerialNumber.String()
	works := func(serial string) {
		t.Helper()
		p := dialSecure(t, l.ingress(), ca.trusting("web.test"))
		defer p.Close()
		same(t, "certificate", p.tls.ConnectionState().PeerCertificates[0].SerialNumber.String(), serial)
		p.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		p.ok()
	}
	works(serial)
	garbage := func(path string) {
		if err := os.WriteFile(path, []byte("no certificate"), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	garbage(front.Cert)
	l.reloads("listener", "ingress", "failure", 1)
	works(serial)
	eventually(t, "a word in the log", func() bool {
		said := l.said.String()
		return strings.Contains(said, "listener=ingress") && strings.Contains(said, "those from before stay in use") && strings.Contains(said, front.Cert)
	})
	if err := os.Remove(front.Cert); err != nil {
		t.Fatal(err)
	}
	l.reloads("listener", "ingress", "failure", 2)
	works(serial)
	swapFile(t, good.Cert, front.Cert) // whose key is not there yet
	l.reloads("listener", "ingress", "failure", 3)
	works(serial)
	swapFile(t, good.Key, front.Key)
	l.reloads("listener", "ingress", "success", 1)
	works(leafOf(t, good.Cert).SerialNumber.String())
	swapFiles(t, another, front)
	eventually(t, "the next certificate", func() bool {
		p := dialSecure(t, l.ingress(), ca.trusting("web.test"))
		defer p.Close()
		return p.tls.ConnectionState().PeerCertificates[0].SerialNumber.Cmp(leafOf(t, another.Cert).SerialNumber) == 0
	})

	garbage(mine.Key)
	l.reloads("cluster", "web", "failure", 1)
	works(leafOf(t, another.Cert).SerialNumber.String())
	reason(t, "the proxy's log", l.said.String(), "cluster=web")
	for _, secret := range []string{front.Key, good.Key} {
		b, err := os.ReadFile(secret)
		if err != nil {
			t.Fatal(err)
		}
		if key := strings.Split(string(b), "\n")[1]; strings.Contains(l.said.String(), key) {
			t.Error("there is a key in the log")
		}
	}
}

// Authorities and revocation lists are renewed likewise, on both sides: who is let
// in changes for the connections to come, resumed sessions included.
func TestTLSReloadOfTrust(t *testing.T) {
	noLeaks(t)
	ca, next := newAuthority(t), newAuthority(t)
	client := ca.issue("client.test")
	newcomer := next.issue("newcomer.test")
	trusted := next.dir + "/trusted.pem"
	list := ca.revoke()
	api := ca.issue("127.0.0.1")
	swapFile(t, ca.File, trusted)
	var server atomic.Pointer[tls.Certificate]
	pair := ca.load(api)
	server.Store(&pair)
	front := ca.issue("web.test")
	l := startLab(t, secureServer(t, &tls.Config{
		Certificates: []tls.Certificate{pair},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{Certificates: []tls.Certificate{*server.Load()}, SessionTicketsDisabled: true}, nil
		},
	}, false, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Connection", "close") }), func(s *settings) {
		listenTLS(&s.Listener, front)
		s.Listener.TLS.ClientAuth, s.Listener.TLS.ClientCA, s.Listener.TLS.CRL = "require", trusted, list
		speaking(s, trusted)
	})
	known := ca.trusting("web.test", client)
	known.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	stranger := ca.trusting("web.test")
	stranger.GetClientCertificate = ca.trusting("web.test", newcomer).GetClientCertificate
	status := func(c *tls.Config) int {
		p, err := tryDialSecure(t, l.ingress(), c)
		if err != nil {
			p.Close()
			return 0
		}
		defer p.Close()
		if _, err := p.tls.Write([]byte("GET / HTTP/1.1\r\nHost: web.test\r\n\r\n")); err != nil {
			return 0
		}
		resp, err := http.ReadResponse(p.r, nil)
		if err != nil {
			return 0
		}
		return resp.StatusCode
	}
	same(t, "the known client", status(known), 200)
	same(t, "the newcomer", status(stranger), 0)
	moved := next.load(next.issue("127.0.0.1"))
	server.Store(&moved)
	same(t, "the known client, at an endpoint of another authority", status(known), 503)

	bundle := fileOf(t, ca.File) + fileOf(t, next.File)
	if err := os.WriteFile(trusted, []byte(bundle), 0o600); err != nil {
		t.Fatal(err)
	}
	l.reloads("listener", "ingress", "success", 1)
	l.reloads("cluster", "web", "success", 1)
	same(t, "the newcomer, at an endpoint of its authority", status(stranger), 200)

	swapFile(t, ca.revoke(client), list)
	l.reloads("listener", "ingress", "success", 2)
	same(t, "the known client, revoked", status(known), 0)
	same(t, "the newcomer, still", status(stranger), 200)
}

func fileOf(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
