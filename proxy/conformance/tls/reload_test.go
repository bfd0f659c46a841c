package tls_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// reloads waits until files have been loaded so many times, well or not.
func reloads(l *proxytest.Proxy, kind, name, result string, n float64) {
	l.T.Helper()
	proxytest.Eventually(l.T, fmt.Sprintf("%g reloads of %s %s, %s", n, kind, name, result), func() bool {
		return l.Scrape().Sum("hopscope_tls_reloads_total", "service", "front", "kind", kind, "name", name, "result", result) >= n
	})
}

// TestTLSReloadUnderLoad: certificates are renewed while clients come, go and
// stay. None of them notices, and who comes then gets the new one.
func TestTLSReloadUnderLoad(t *testing.T) {
	proxytest.NoLeaks(t)
	ca := proxytest.NewAuthority(t)
	front, api := ca.Issue("web.test"), ca.Issue("127.0.0.1")
	mine := ca.Issue("spiffe://mesh/front")
	l := proxytest.StartWithViews(t, proxytest.ServeTLS(t, &tls.Config{
		Certificates: []tls.Certificate{ca.Load(api)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(),
	}, false, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/close" {
			w.Header().Set("Connection", "close")
		}
		fmt.Fprint(w, r.TLS.PeerCertificates[0].SerialNumber)
	}), func(s *proxytest.Settings) {
		proxytest.ListenTLS(&s.Listener, front)
		c := proxytest.UseTLS(s, ca.File)
		c.Cert, c.Key = mine.Cert, mine.Key
	})
	var stop atomic.Bool
	var asked atomic.Int64
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			c := ca.ClientConfig("web.test")
			var p *proxytest.TLSPeer
			for n := 0; !stop.Load() && !t.Failed(); n++ {
				if p == nil {
					var err error
					if p, err = proxytest.TryDialTLS(t, l.Ingress(), c); err != nil {
						t.Errorf("handshake: %v", err)
						return
					}
					p.Fail = proxytest.FailAndExit(t)
				}
				path := "/"
				if n%8 == 7 {
					path = "/close" // so the proxy, too, has new connections to make
				}
				p.Send("GET ", path, " HTTP/1.1\r\nHost: web.test\r\n\r\n")
				p.ReadOK()
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
		_, body := proxytest.AskTLS(t, l.Ingress(), ca.ClientConfig("web.test"), "GET /close HTTP/1.1\r\nHost: web.test\r\n\r\n")
		return body
	}
	shown := func() string {
		p := proxytest.DialTLS(t, l.Ingress(), ca.ClientConfig("web.test"))
		defer p.Close()
		return p.TLS.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	for i := 1.0; i <= 4; i++ {
		next, nextMine := ca.Issue("web.test"), ca.Issue("spiffe://mesh/front")
		before := asked.Load()
		proxytest.ReplaceCertificate(t, next, front)
		proxytest.ReplaceCertificate(t, nextMine, mine)
		want, wantMine := proxytest.LeafOf(t, next.Cert).SerialNumber.String(), proxytest.LeafOf(t, nextMine.Cert).SerialNumber.String()
		proxytest.Eventually(t, "the listener's new certificate", func() bool { return shown() == want })
		proxytest.Eventually(t, "the cluster's new certificate", func() bool { return serial() == wantMine })
		proxytest.Eventually(t, "requests meanwhile", func() bool { return asked.Load() > before+20 || t.Failed() })
		expiry := l.Scrape().Sum("hopscope_tls_certificate_expiry_timestamp_seconds", "kind", "listener", "name", "ingress")
		proxytest.Same(t, "expiry in the metrics", int64(expiry), proxytest.LeafOf(t, next.Cert).NotAfter.Unix())
	}
	stop.Store(true)
	wg.Wait()
	reloads(l, "listener", "ingress", "success", 1)
	reloads(l, "cluster", "web", "success", 1)
	m := l.Scrape()
	proxytest.Same(t, "requests that did not end in 200", m.Sum("hopscope_requests_total")-m.Sum("hopscope_requests_total", "code", "200", "flag", ""), 0)
	proxytest.Same(t, "attempts that did not end in 200", m.Sum("hopscope_attempts_total")-m.Sum("hopscope_attempts_total", "code", "200", "flag", ""), 0)
	proxytest.Same(t, "connections that failed", m.Sum("hopscope_connection_failures_total"), 0)
}

// A file that is of no use leaves the one before in use, and is told of.
func TestTLSReloadOfNoUse(t *testing.T) {
	proxytest.NoLeaks(t)
	ca := proxytest.NewAuthority(t)
	front, mine := ca.Issue("web.test"), ca.Issue("front.test")
	good, another := ca.Issue("web.test"), ca.Issue("web.test")
	l := proxytest.StartWithViews(t, proxytest.ServeTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.Load(ca.Issue("127.0.0.1"))}}, false, proxytest.Echo), func(s *proxytest.Settings) {
		proxytest.ListenTLS(&s.Listener, front)
		c := proxytest.UseTLS(s, ca.File)
		c.Cert, c.Key = mine.Cert, mine.Key
	})
	serial := proxytest.LeafOf(t, front.Cert).SerialNumber.String()
	works := func(serial string) {
		t.Helper()
		p := proxytest.DialTLS(t, l.Ingress(), ca.ClientConfig("web.test"))
		defer p.Close()
		proxytest.Same(t, "certificate", p.TLS.ConnectionState().PeerCertificates[0].SerialNumber.String(), serial)
		p.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		p.ReadOK()
	}
	works(serial)
	garbage := func(path string) {
		if err := os.WriteFile(path, []byte("no certificate"), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	garbage(front.Cert)
	reloads(l, "listener", "ingress", "failure", 1)
	works(serial)
	proxytest.Eventually(t, "a word in the log", func() bool {
		said := l.Said.String()
		return strings.Contains(said, "listener=ingress") && strings.Contains(said, "those from before stay in use") && strings.Contains(said, front.Cert)
	})
	if err := os.Remove(front.Cert); err != nil {
		t.Fatal(err)
	}
	reloads(l, "listener", "ingress", "failure", 2)
	works(serial)
	proxytest.ReplaceFile(t, good.Cert, front.Cert) // whose key is not there yet
	reloads(l, "listener", "ingress", "failure", 3)
	works(serial)
	proxytest.ReplaceFile(t, good.Key, front.Key)
	reloads(l, "listener", "ingress", "success", 1)
	works(proxytest.LeafOf(t, good.Cert).SerialNumber.String())
	proxytest.ReplaceCertificate(t, another, front)
	proxytest.Eventually(t, "the next certificate", func() bool {
		p := proxytest.DialTLS(t, l.Ingress(), ca.ClientConfig("web.test"))
		defer p.Close()
		return p.TLS.ConnectionState().PeerCertificates[0].SerialNumber.Cmp(proxytest.LeafOf(t, another.Cert).SerialNumber) == 0
	})

	garbage(mine.Key)
	reloads(l, "cluster", "web", "failure", 1)
	works(proxytest.LeafOf(t, another.Cert).SerialNumber.String())
	proxytest.Reason(t, "the proxy's log", l.Said.String(), "cluster=web")
	for _, secret := range []string{front.Key, good.Key} {
		b, err := os.ReadFile(secret)
		if err != nil {
			t.Fatal(err)
		}
		if key := strings.Split(string(b), "\n")[1]; strings.Contains(l.Said.String(), key) {
			t.Error("there is a key in the log")
		}
	}
}

// Authorities and revocation lists are renewed likewise, on both sides: who is let
// in changes for the connections to come, resumed sessions included.
func TestTLSReloadOfTrust(t *testing.T) {
	proxytest.NoLeaks(t)
	ca, next := proxytest.NewAuthority(t), proxytest.NewAuthority(t)
	client := ca.Issue("client.test")
	newcomer := next.Issue("newcomer.test")
	trusted := next.Dir + "/trusted.pem"
	list := ca.Revoke()
	api := ca.Issue("127.0.0.1")
	proxytest.ReplaceFile(t, ca.File, trusted)
	var server atomic.Pointer[tls.Certificate]
	pair := ca.Load(api)
	server.Store(&pair)
	front := ca.Issue("web.test")
	l := proxytest.StartWithViews(t, proxytest.ServeTLS(t, &tls.Config{
		Certificates: []tls.Certificate{pair},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{Certificates: []tls.Certificate{*server.Load()}, SessionTicketsDisabled: true}, nil
		},
	}, false, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Connection", "close") }), func(s *proxytest.Settings) {
		proxytest.ListenTLS(&s.Listener, front)
		s.Listener.TLS.ClientAuth, s.Listener.TLS.ClientCA, s.Listener.TLS.CRL = "require", trusted, list
		proxytest.UseTLS(s, trusted)
	})
	known := ca.ClientConfig("web.test", client)
	known.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	stranger := ca.ClientConfig("web.test")
	stranger.GetClientCertificate = ca.ClientConfig("web.test", newcomer).GetClientCertificate
	status := func(c *tls.Config) int {
		p, err := proxytest.TryDialTLS(t, l.Ingress(), c)
		if err != nil {
			p.Close()
			return 0
		}
		defer p.Close()
		if _, err := p.TLS.Write([]byte("GET / HTTP/1.1\r\nHost: web.test\r\n\r\n")); err != nil {
			return 0
		}
		resp, err := http.ReadResponse(p.Reader, nil)
		if err != nil {
			return 0
		}
		return resp.StatusCode
	}
	proxytest.Same(t, "the known client", status(known), 200)
	proxytest.Same(t, "the newcomer", status(stranger), 0)
	moved := next.Load(next.Issue("127.0.0.1"))
	server.Store(&moved)
	proxytest.Same(t, "the known client, at an endpoint of another authority", status(known), 503)

	bundle := fileOf(t, ca.File) + fileOf(t, next.File)
	if err := os.WriteFile(trusted, []byte(bundle), 0o600); err != nil {
		t.Fatal(err)
	}
	reloads(l, "listener", "ingress", "success", 1)
	reloads(l, "cluster", "web", "success", 1)
	proxytest.Same(t, "the newcomer, at an endpoint of its authority", status(stranger), 200)

	proxytest.ReplaceFile(t, ca.Revoke(client), list)
	reloads(l, "listener", "ingress", "success", 2)
	proxytest.Same(t, "the known client, revoked", status(known), 0)
	proxytest.Same(t, "the newcomer, still", status(stranger), 200)
}

func fileOf(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
