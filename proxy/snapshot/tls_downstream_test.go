package snapshot_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/hopscope/hopscope/proxy/config"
)

// lastLine is the latest line of the access log, of n.
func (l *rig) lastLine(n int) line {
	l.t.Helper()
	var all []line
	eventually(l.t, fmt.Sprintf("%d lines", n), func() bool {
		l.flush()
		all = l.lines()
		return len(all) >= n
	})
	return all[n-1]
}

// A certificate is chosen by the name that is asked for: the whole name, then a
// wildcard, then the first.
func TestTLSCertificateByName(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	first, exact, wild := ca.issue("first.test"), ca.issue("web.shop.test"), ca.issue("*.shop.test")
	l := startLab(t, goServer(t, echo), func(s *settings) { listenTLS(&s.Listener, first, wild, exact) })
	for i, tt := range []struct{ asked, shown, sni string }{
		{"web.shop.test", "web.shop.test", "web.shop.test"},
		{"WEB.Shop.test", "web.shop.test", "WEB.Shop.test"},
		{"cart.shop.test", "*.shop.test", "cart.shop.test"},
		{"a.cart.shop.test", "first.test", "a.cart.shop.test"},
		{"shop.test", "first.test", "shop.test"},
		{"first.test", "first.test", "first.test"},
		{"else.test", "first.test", "else.test"},
		{"", "first.test", ""},
	} {
		c := &tls.Config{ServerName: tt.asked, InsecureSkipVerify: true}
		p := dialSecure(t, l.ingress(), c)
		same(t, tt.asked+": certificate", p.tls.ConnectionState().PeerCertificates[0].Subject.CommonName, tt.shown)
		p.send(plain)
		p.ok()
		p.Close()
		line := l.lastLine(i + 1)
		same(t, tt.asked+": tls_sni", line.of("tls").text("sni"), tt.sni)
		same(t, tt.asked+": tls_peer", line.of("tls").text("peer"), "")
	}
}

// Each version and suite that may be agreed on shows in every view.
func TestTLSVersionsAndSuites(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	cert := ca.issue("web.test")
	l := startLab(t, goServer(t, echo), func(s *settings) { listenTLS(&s.Listener, cert) })
	tests := []struct {
		version uint16
		suite   uint16
		name    string
	}{
		{tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "1.2"},
		{tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "1.2"},
		{tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "1.2"},
		{tls.VersionTLS13, 0, "1.3"},
	}
	for i, tt := range tests {
		c := ca.trusting("web.test")
		c.MaxVersion = tt.version
		if tt.suite != 0 { // with one that it would like better, and must not get
			c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tt.suite}
		}
		p := dialSecure(t, l.ingress(), c)
		p.send(plain)
		p.ok()
		state := p.tls.ConnectionState()
		p.Close()
		if tt.suite != 0 {
			same(t, "suite", tls.CipherSuiteName(state.CipherSuite), tls.CipherSuiteName(tt.suite))
		}
		line := l.lastLine(i + 1)
		same(t, "log: tls_version", line.of("tls").text("version"), tt.name)
		same(t, "log: tls_cipher", line.of("tls").text("cipher"), tls.CipherSuiteName(state.CipherSuite))
		if line.of("tls").number("handshake_ms") <= 0 {
			t.Errorf("log: tls_handshake_ms %v", line.of("tls")["handshake_ms"])
		}
	}
	v := l.end(len(tests))
	for i, s := range v.kind(tracepb.Span_SPAN_KIND_SERVER) {
		same(t, "span: tls.protocol.version", s.attributes["tls.protocol.version"], v.lines[i].of("tls").text("version"))
		same(t, "span: tls.cipher", s.attributes["tls.cipher"], v.lines[i].of("tls").text("cipher"))
		same(t, "span: url.scheme", s.attributes["url.scheme"], "https")
		same(t, "span: hopscope.tls.server_name", s.attributes["hopscope.tls.server_name"], "web.test")
		if s.attributes["hopscope.tls.handshake_ns"] == "" {
			t.Error("span: no hopscope.tls.handshake_ns")
		}
	}
}

// ALPN decides what is spoken; without it that is HTTP/1.1.
func TestTLSProtocolByALPN(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	cert := ca.issue("web.test")
	for _, tt := range []struct {
		name           string
		listener       []string
		client         []string
		agreed, spoken string
	}{
		{"both", nil, []string{"http/1.1", "h2"}, "h2", "HTTP/2"}, // the listener's order counts
		{"HTTP/1.1 alone", nil, []string{"http/1.1"}, "http/1.1", "HTTP/1.1"},
		{"no ALPN", nil, nil, "", "HTTP/1.1"},
		{"a listener without HTTP/2", []string{"http/1.1"}, []string{"h2", "http/1.1"}, "http/1.1", "HTTP/1.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := startLab(t, goServer(t, echo), func(s *settings) {
				listenTLS(&s.Listener, cert)
				if tt.listener != nil {
					s.Listener.TLS.ALPN = tt.listener
				}
			})
			c := ca.trusting("web.test")
			c.NextProtos = tt.client
			p := dialSecure(t, l.ingress(), c)
			same(t, "protocol agreed on", p.tls.ConnectionState().NegotiatedProtocol, tt.agreed)
			if tt.agreed == "h2" {
				f := newFramed(t, p.TCPConn, p.tls)
				same(t, "status", f.get("/row").StatusCode, 200)
			} else {
				p.send(plain)
				p.ok()
			}
			p.Close()
			v := l.end(1)
			same(t, "log: protocol", v.lines[0].text("protocol"), tt.spoken)
			server := v.kind(tracepb.Span_SPAN_KIND_SERVER)[0]
			same(t, "span: tls.next_protocol", server.attributes["tls.next_protocol"], tt.agreed)
		})
	}
}

// Who a client is, it may have to show: in the views, and to the endpoint.
func TestTLSClientCertificates(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	cert := ca.issue("web.test")
	spiffe, dns := ca.issue("spiffe://mesh/ns/default/shop"), ca.issue("shop.friends.test")
	l3 := ca.issue("nobody", func(c *x509.Certificate) {
		c.DNSNames, c.Subject = nil, pkix.Name{CommonName: "nobody", Organization: []string{"Acme"}}
	})
	sans := []string{"spiffe://mesh/ns/default/*", "*.friends.test"}
	for _, tt := range []struct {
		name string
		auth string
		san  []string
		show []config.Certificate
		peer string
	}{
		{"none is asked for", "none", nil, []config.Certificate{spiffe}, ""},
		{"one may be shown, and is not", "request", nil, nil, ""},
		{"one may be shown, and is", "request", nil, []config.Certificate{dns}, "shop.friends.test"},
		{"one is required", "require", nil, []config.Certificate{spiffe}, "spiffe://mesh/ns/default/shop"},
		{"a subject alone", "require", nil, []config.Certificate{l3}, "CN=nobody,O=Acme"},
		{"a SPIFFE id that is let in", "require", sans, []config.Certificate{spiffe}, "spiffe://mesh/ns/default/shop"},
		{"a DNS name that is let in", "require", sans, []config.Certificate{dns}, "shop.friends.test"},
		{"names do not count where none is shown", "request", sans, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := startLab(t, goServer(t, echo), func(s *settings) {
				listenTLS(&s.Listener, cert)
				s.Listener.TLS.ClientAuth, s.Listener.TLS.ClientSAN = tt.auth, tt.san
				if tt.auth != "none" {
					s.Listener.TLS.ClientCA = ca.File
				}
			})
			askSecure(t, l.ingress(), ca.trusting("web.test", tt.show...), plain)
			v := l.end(1)
			same(t, "log: tls_peer", v.lines[0].of("tls").text("peer"), tt.peer)
			server := v.kind(tracepb.Span_SPAN_KIND_SERVER)[0].attributes
			same(t, "span: hopscope.tls.peer", server["hopscope.tls.peer"], tt.peer)
			subject, expires := "", ""
			if tt.peer != "" {
				leaf := leafOf(t, tt.show[0].Cert)
				subject, expires = leaf.Subject.String(), leaf.NotAfter.UTC().Format(time.RFC3339)
			}
			same(t, "span: tls.client.subject", server["tls.client.subject"], subject)
			same(t, "span: tls.client.not_after", server["tls.client.not_after"], expires)
		})
	}
}

// X-Forwarded-Client-Cert tells the endpoint of the client's certificate, and
// what a client says of itself in it is believed as far as the listener says.
func TestTLSForwardedClientCert(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	cert := ca.issue("web.test", func(c *x509.Certificate) {
		c.URIs = []*url.URL{{Scheme: "spiffe", Host: "mesh", Path: "/ns/default/web"}}
	})
	client := ca.issue("spiffe://mesh/ns/default/shop", func(c *x509.Certificate) { c.DNSNames = []string{"shop.test"} })
	leaf := leafOf(t, client.Cert)
	hash := sha256.Sum256(leaf.Raw)
	own := fmt.Sprintf(`By=spiffe://mesh/ns/default/web;Hash=%s;Subject="%s";URI=spiffe://mesh/ns/default/shop;DNS=shop.test`,
		hex.EncodeToString(hash[:]), leaf.Subject)
	const came = "Hash=00;Subject=\"CN=liar\""
	for _, tt := range []struct{ mode, with, without string }{
		{"sanitize", "", ""},
		{"sanitize_set", own, ""},
		{"append_forward", came + "," + own, ""},
		{"forward_only", came, ""},
		{"always_forward_only", came, came},
	} {
		t.Run(tt.mode, func(t *testing.T) {
			rig := startProxy(t, goServer(t, func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, strings.Join(r.Header.Values("X-Forwarded-Client-Cert"), "|"))
			}), func(s *settings) {
				listenTLS(&s.Listener, cert)
				s.Listener.TLS.ClientAuth, s.Listener.TLS.ClientCA = "request", ca.File
				s.Listener.ForwardClientCert = tt.mode
			})
			request := "GET / HTTP/1.1\r\nHost: web.test\r\nX-Forwarded-Client-Cert: " + came + "\r\n\r\n"
			_, got := askSecure(t, rig.ingress(), ca.trusting("web.test", client), request)
			same(t, "with a certificate", got, tt.with)
			_, got = askSecure(t, rig.ingress(), ca.trusting("web.test"), request)
			same(t, "without", got, tt.without)
		})
	}
}

// A client that comes again resumes its session, if the listener likes, and is
// who it was.
func TestTLSResumption(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	cert, client := ca.issue("web.test"), ca.issue("spiffe://mesh/shop")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, tickets := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, tickets %t", tls.VersionName(version), tickets), func(t *testing.T) {
				l := startLab(t, goServer(t, echo), func(s *settings) {
					listenTLS(&s.Listener, cert)
					s.Listener.TLS.SessionTickets = tickets
					s.Listener.TLS.ClientAuth, s.Listener.TLS.ClientCA = "require", ca.File
				})
				c := ca.trusting("web.test", client)
				c.MinVersion, c.MaxVersion, c.ClientSessionCache = version, version, tls.NewLRUClientSessionCache(1)
				for i := range 3 {
					resumed := i > 0 && tickets
					p := dialSecure(t, l.ingress(), c)
					p.send(plain)
					p.ok() // with which the ticket came
					same(t, "resumed", p.tls.ConnectionState().DidResume, resumed)
					p.Close()
					line := l.lastLine(i + 1)
					same(t, "log: tls_resumed", line.of("tls")["resumed"], any(resumed))
					same(t, "log: tls_peer", line.of("tls").text("peer"), "spiffe://mesh/shop")
				}
			})
		}
	}
}

// A connection carries many requests, whole and in pieces, is closed when it was
// idle for long enough, and says that it is.
func TestTLSKeepAlive(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	cert := ca.issue("web.test")
	l := startLab(t, goServer(t, echo), func(s *settings) {
		listenTLS(&s.Listener, cert)
		s.Listener.IdleTimeout = soon
	})
	p := dialSecure(t, l.ingress(), ca.trusting("web.test"))
	defer p.Close()
	p.send(plain, other) // one behind the other, in one record
	same(t, "first", p.ok(), "/row ")
	same(t, "second", p.ok(), "/other ")
	body := pattern(300_000)
	p.send(fmt.Sprintf("POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", len(body)), body)
	same(t, "large content", p.ok() == "/big "+body, true)
	for _, piece := range []string{"POST /pieces HTTP/1.1\r\nHost: a\r\nContent-Le", "ngth: 6\r\n\r\nab", "cd", "ef"} {
		p.send(piece)
		p.taken()
	}
	same(t, "in pieces", p.ok(), "/pieces abcdef")
	p.closed() // by a close_notify: else it is an unexpected end
	v := l.end(4)
	took := v.lines[0].of("tls").number("handshake_ms")
	for _, line := range v.lines {
		same(t, "log: tls_handshake_ms", line.of("tls").number("handshake_ms"), took)
		same(t, "log: tls_resumed", line.of("tls")["resumed"], any(false))
		same(t, "log: status", line.number("status"), 200)
	}
}

// What a client sees that speaks the other one of TLS and plain HTTP.
func TestTLSAndPlainMixedUp(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	cert := ca.issue("web.test")
	t.Run("plain HTTP to a TLS port", func(t *testing.T) {
		l := startLab(t, goServer(t, echo), func(s *settings) { listenTLS(&s.Listener, cert) })
		p := l.dial()
		p.send(plain)
		resp, body := p.response("GET")
		same(t, "status", resp.StatusCode, 400)
		if !strings.Contains(body, "https://") {
			t.Errorf("content %q says nothing of https://", body)
		}
		p.closed()
		line := l.end(1).lines[0]
		reason(t, "log: failure_reason", line.text("failure_reason"), "speaks plain HTTP to a port that expects TLS")
	})
	t.Run("TLS to a plain port", func(t *testing.T) {
		l := startLab(t, goServer(t, echo))
		err := handshakeError(t, l.ingress(), ca.trusting("web.test"))
		if h, ok := err.(tls.RecordHeaderError); !ok || string(h.RecordHeader[:]) != "HTTP/" {
			t.Errorf("the client sees %v, want a response in plain HTTP", err)
		}
		line := l.end(1).lines[0]
		same(t, "log: status", line.number("status"), 400)
		reason(t, "log: failure_reason", line.text("failure_reason"), "TLS handshake")
	})
	t.Run("a look whether the port is open", func(t *testing.T) {
		l := startLab(t, goServer(t, echo), func(s *settings) { listenTLS(&s.Listener, cert) })
		for range 3 {
			p := l.dial()
			p.Close()
		}
		p := l.dial()
		p.CloseWrite()
		p.closed()
		askSecure(t, l.ingress(), ca.trusting("web.test"), plain)
		eventually(t, "the connections ending", func() bool { return l.scrape().sum("hopscope_downstream_connections_active") == 0 })
		l.end(1) // which is the request
	})
}
