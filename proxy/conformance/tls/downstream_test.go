package tls_test

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
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// lastLine is the latest line of the access log, of n.
func lastLine(l *proxytest.Proxy, n int) proxytest.Line {
	l.T.Helper()
	var all []proxytest.Line
	proxytest.Eventually(l.T, fmt.Sprintf("%d lines", n), func() bool {
		l.FlushViews()
		all = l.Lines()
		return len(all) >= n
	})
	return all[n-1]
}

// A certificate is chosen by the name that is asked for: the whole name, then a
// wildcard, then the first.
func TestTLSCertificateByName(t *testing.T) {
	proxytest.NoLeaks(t)
	ca := proxytest.NewAuthority(t)
	first, exact, wild := ca.Issue("first.test"), ca.Issue("web.shop.test"), ca.Issue("*.shop.test")
	l := proxytest.StartWithViews(t, proxytest.Serve(t, proxytest.Echo), func(s *proxytest.Settings) { proxytest.ListenTLS(&s.Listener, first, wild, exact) })
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
		p := proxytest.DialTLS(t, l.Ingress(), c)
		proxytest.Same(t, tt.asked+": certificate", p.TLS.ConnectionState().PeerCertificates[0].Subject.CommonName, tt.shown)
		p.Send(proxytest.RowRequest)
		p.ReadOK()
		p.Close()
		line := lastLine(l, i+1)
		proxytest.Same(t, tt.asked+": tls_sni", line.Of("tls").Text("sni"), tt.sni)
		proxytest.Same(t, tt.asked+": tls_peer", line.Of("tls").Text("peer"), "")
	}
}

// Each version and suite that may be agreed on shows in every view.
func TestTLSVersionsAndSuites(t *testing.T) {
	proxytest.NoLeaks(t)
	ca := proxytest.NewAuthority(t)
	cert := ca.Issue("web.test")
	l := proxytest.StartWithViews(t, proxytest.Serve(t, proxytest.Echo), func(s *proxytest.Settings) { proxytest.ListenTLS(&s.Listener, cert) })
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
		c := ca.ClientConfig("web.test")
		c.MaxVersion = tt.version
		if tt.suite != 0 { // with one that it would like better, and must not get
			c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tt.suite}
		}
		p := proxytest.DialTLS(t, l.Ingress(), c)
		p.Send(proxytest.RowRequest)
		p.ReadOK()
		state := p.TLS.ConnectionState()
		p.Close()
		if tt.suite != 0 {
			proxytest.Same(t, "suite", tls.CipherSuiteName(state.CipherSuite), tls.CipherSuiteName(tt.suite))
		}
		line := lastLine(l, i+1)
		proxytest.Same(t, "log: tls_version", line.Of("tls").Text("version"), tt.name)
		proxytest.Same(t, "log: tls_cipher", line.Of("tls").Text("cipher"), tls.CipherSuiteName(state.CipherSuite))
		if line.Of("tls").Number("handshake_ms") <= 0 {
			t.Errorf("log: tls_handshake_ms %v", line.Of("tls")["handshake_ms"])
		}
	}
	v := l.End(len(tests))
	for i, s := range v.Kind(tracepb.Span_SPAN_KIND_SERVER) {
		proxytest.Same(t, "span: tls.protocol.version", s.Attributes["tls.protocol.version"], v.Lines[i].Of("tls").Text("version"))
		proxytest.Same(t, "span: tls.cipher", s.Attributes["tls.cipher"], v.Lines[i].Of("tls").Text("cipher"))
		proxytest.Same(t, "span: url.scheme", s.Attributes["url.scheme"], "https")
		proxytest.Same(t, "span: hopscope.tls.server_name", s.Attributes["hopscope.tls.server_name"], "web.test")
		if s.Attributes["hopscope.tls.handshake_ns"] == "" {
			t.Error("span: no hopscope.tls.handshake_ns")
		}
	}
}

// ALPN decides what is spoken; without it that is HTTP/1.1.
func TestTLSProtocolByALPN(t *testing.T) {
	proxytest.NoLeaks(t)
	ca := proxytest.NewAuthority(t)
	cert := ca.Issue("web.test")
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
			l := proxytest.StartWithViews(t, proxytest.Serve(t, proxytest.Echo), func(s *proxytest.Settings) {
				proxytest.ListenTLS(&s.Listener, cert)
				if tt.listener != nil {
					s.Listener.TLS.ALPN = tt.listener
				}
			})
			c := ca.ClientConfig("web.test")
			c.NextProtos = tt.client
			p := proxytest.DialTLS(t, l.Ingress(), c)
			proxytest.Same(t, "protocol agreed on", p.TLS.ConnectionState().NegotiatedProtocol, tt.agreed)
			if tt.agreed == "h2" {
				f := proxytest.NewHTTP2Peer(t, p.TCPConn, p.TLS)
				proxytest.Same(t, "status", f.Get("/row").StatusCode, 200)
			} else {
				p.Send(proxytest.RowRequest)
				p.ReadOK()
			}
			p.Close()
			v := l.End(1)
			proxytest.Same(t, "log: protocol", v.Lines[0].Text("protocol"), tt.spoken)
			server := v.Kind(tracepb.Span_SPAN_KIND_SERVER)[0]
			proxytest.Same(t, "span: tls.next_protocol", server.Attributes["tls.next_protocol"], tt.agreed)
		})
	}
}

// Who a client is, it may have to show: in the views, and to the endpoint.
func TestTLSClientCertificates(t *testing.T) {
	proxytest.NoLeaks(t)
	ca := proxytest.NewAuthority(t)
	cert := ca.Issue("web.test")
	spiffe, dns := ca.Issue("spiffe://mesh/ns/default/shop"), ca.Issue("shop.friends.test")
	l3 := ca.Issue("nobody", func(c *x509.Certificate) {
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
			l := proxytest.StartWithViews(t, proxytest.Serve(t, proxytest.Echo), func(s *proxytest.Settings) {
				proxytest.ListenTLS(&s.Listener, cert)
				s.Listener.TLS.ClientAuth, s.Listener.TLS.ClientSAN = tt.auth, tt.san
				if tt.auth != "none" {
					s.Listener.TLS.ClientCA = ca.File
				}
			})
			proxytest.AskTLS(t, l.Ingress(), ca.ClientConfig("web.test", tt.show...), proxytest.RowRequest)
			v := l.End(1)
			proxytest.Same(t, "log: tls_peer", v.Lines[0].Of("tls").Text("peer"), tt.peer)
			server := v.Kind(tracepb.Span_SPAN_KIND_SERVER)[0].Attributes
			proxytest.Same(t, "span: hopscope.tls.peer", server["hopscope.tls.peer"], tt.peer)
			subject, expires := "", ""
			if tt.peer != "" {
				leaf := proxytest.LeafOf(t, tt.show[0].Cert)
				subject, expires = leaf.Subject.String(), leaf.NotAfter.UTC().Format(time.RFC3339)
			}
			proxytest.Same(t, "span: tls.client.subject", server["tls.client.subject"], subject)
			proxytest.Same(t, "span: tls.client.not_after", server["tls.client.not_after"], expires)
		})
	}
}

// X-Forwarded-Client-Cert tells the endpoint of the client's certificate, and
// what a client says of itself in it is believed as far as the listener says.
func TestTLSForwardedClientCert(t *testing.T) {
	proxytest.NoLeaks(t)
	ca := proxytest.NewAuthority(t)
	cert := ca.Issue("web.test", func(c *x509.Certificate) {
		c.URIs = []*url.URL{{Scheme: "spiffe", Host: "mesh", Path: "/ns/default/web"}}
	})
	client := ca.Issue("spiffe://mesh/ns/default/shop", func(c *x509.Certificate) { c.DNSNames = []string{"shop.test"} })
	leaf := proxytest.LeafOf(t, client.Cert)
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
			rig := proxytest.Start(t, proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, strings.Join(r.Header.Values("X-Forwarded-Client-Cert"), "|"))
			}), func(s *proxytest.Settings) {
				proxytest.ListenTLS(&s.Listener, cert)
				s.Listener.TLS.ClientAuth, s.Listener.TLS.ClientCA = "request", ca.File
				s.Listener.ForwardClientCert = tt.mode
			})
			request := "GET / HTTP/1.1\r\nHost: web.test\r\nX-Forwarded-Client-Cert: " + came + "\r\n\r\n"
			_, got := proxytest.AskTLS(t, rig.Ingress(), ca.ClientConfig("web.test", client), request)
			proxytest.Same(t, "with a certificate", got, tt.with)
			_, got = proxytest.AskTLS(t, rig.Ingress(), ca.ClientConfig("web.test"), request)
			proxytest.Same(t, "without", got, tt.without)
		})
	}
}

// A client that comes again resumes its session, if the listener likes, and is
// who it was.
func TestTLSResumption(t *testing.T) {
	proxytest.NoLeaks(t)
	ca := proxytest.NewAuthority(t)
	cert, client := ca.Issue("web.test"), ca.Issue("spiffe://mesh/shop")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, tickets := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, tickets %t", tls.VersionName(version), tickets), func(t *testing.T) {
				l := proxytest.StartWithViews(t, proxytest.Serve(t, proxytest.Echo), func(s *proxytest.Settings) {
					proxytest.ListenTLS(&s.Listener, cert)
					s.Listener.TLS.SessionTickets = tickets
					s.Listener.TLS.ClientAuth, s.Listener.TLS.ClientCA = "require", ca.File
				})
				c := ca.ClientConfig("web.test", client)
				c.MinVersion, c.MaxVersion, c.ClientSessionCache = version, version, tls.NewLRUClientSessionCache(1)
				for i := range 3 {
					resumed := i > 0 && tickets
					p := proxytest.DialTLS(t, l.Ingress(), c)
					p.Send(proxytest.RowRequest)
					p.ReadOK() // with which the ticket came
					proxytest.Same(t, "resumed", p.TLS.ConnectionState().DidResume, resumed)
					p.Close()
					line := lastLine(l, i+1)
					proxytest.Same(t, "log: tls_resumed", line.Of("tls")["resumed"], any(resumed))
					proxytest.Same(t, "log: tls_peer", line.Of("tls").Text("peer"), "spiffe://mesh/shop")
				}
			})
		}
	}
}

// A connection carries many requests, whole and in pieces, is closed when it was
// idle for long enough, and says that it is.
func TestTLSKeepAlive(t *testing.T) {
	proxytest.NoLeaks(t)
	ca := proxytest.NewAuthority(t)
	cert := ca.Issue("web.test")
	l := proxytest.StartWithViews(t, proxytest.Serve(t, proxytest.Echo), func(s *proxytest.Settings) {
		proxytest.ListenTLS(&s.Listener, cert)
		s.Listener.IdleTimeout = proxytest.Soon
	})
	p := proxytest.DialTLS(t, l.Ingress(), ca.ClientConfig("web.test"))
	defer p.Close()
	p.Send(proxytest.RowRequest, proxytest.OtherRequest) // one behind the other, in one record
	proxytest.Same(t, "first", p.ReadOK(), "/row ")
	proxytest.Same(t, "second", p.ReadOK(), "/other ")
	body := proxytest.Pattern(300_000)
	p.Send(fmt.Sprintf("POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", len(body)), body)
	proxytest.Same(t, "large content", p.ReadOK() == "/big "+body, true)
	for _, piece := range []string{"POST /pieces HTTP/1.1\r\nHost: a\r\nContent-Le", "ngth: 6\r\n\r\nab", "cd", "ef"} {
		p.Send(piece)
		p.AwaitRead()
	}
	proxytest.Same(t, "in pieces", p.ReadOK(), "/pieces abcdef")
	p.ExpectEnd() // by a close_notify: else it is an unexpected end
	v := l.End(4)
	took := v.Lines[0].Of("tls").Number("handshake_ms")
	for _, line := range v.Lines {
		proxytest.Same(t, "log: tls_handshake_ms", line.Of("tls").Number("handshake_ms"), took)
		proxytest.Same(t, "log: tls_resumed", line.Of("tls")["resumed"], any(false))
		proxytest.Same(t, "log: status", line.Number("status"), 200)
	}
}

// What a client sees that speaks the other one of TLS and plain HTTP.
func TestTLSAndPlainMixedUp(t *testing.T) {
	proxytest.NoLeaks(t)
	ca := proxytest.NewAuthority(t)
	cert := ca.Issue("web.test")
	t.Run("plain HTTP to a TLS port", func(t *testing.T) {
		l := proxytest.StartWithViews(t, proxytest.Serve(t, proxytest.Echo), func(s *proxytest.Settings) { proxytest.ListenTLS(&s.Listener, cert) })
		p := l.Dial()
		p.Send(proxytest.RowRequest)
		resp, body := p.ReadResponse("GET")
		proxytest.Same(t, "status", resp.StatusCode, 400)
		if !strings.Contains(body, "https://") {
			t.Errorf("content %q says nothing of https://", body)
		}
		p.ExpectEnd()
		line := l.End(1).Lines[0]
		proxytest.Reason(t, "log: failure_reason", line.Text("failure_reason"), "speaks plain HTTP to a port that expects TLS")
	})
	t.Run("TLS to a plain port", func(t *testing.T) {
		l := proxytest.StartWithViews(t, proxytest.Serve(t, proxytest.Echo))
		err := proxytest.HandshakeError(t, l.Ingress(), ca.ClientConfig("web.test"))
		if h, ok := err.(tls.RecordHeaderError); !ok || string(h.RecordHeader[:]) != "HTTP/" {
			t.Errorf("the client sees %v, want a response in plain HTTP", err)
		}
		line := l.End(1).Lines[0]
		proxytest.Same(t, "log: status", line.Number("status"), 400)
		proxytest.Reason(t, "log: failure_reason", line.Text("failure_reason"), "TLS handshake")
	})
	t.Run("a look whether the port is open", func(t *testing.T) {
		l := proxytest.StartWithViews(t, proxytest.Serve(t, proxytest.Echo), func(s *proxytest.Settings) { proxytest.ListenTLS(&s.Listener, cert) })
		for range 3 {
			p := l.Dial()
			p.Close()
		}
		p := l.Dial()
		p.CloseWrite()
		p.ExpectEnd()
		proxytest.AskTLS(t, l.Ingress(), ca.ClientConfig("web.test"), proxytest.RowRequest)
		proxytest.Eventually(t, "the connections ending", func() bool { return l.Scrape().Sum("hopscope_downstream_connections_active") == 0 })
		l.End(1) // which is the request
	})
}
