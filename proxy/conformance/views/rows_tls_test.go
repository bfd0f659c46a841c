package views_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// edge is a TLS listener's side of a row: what it is made of, once there is a
// test to make it in.
type edge struct {
	ca       *proxytest.Authority
	listener *config.ListenerTLS
	client   *tls.Config
	shown    string // the file of the certificate that the client shows, "" for none
}

// clientTLSRow is a row for a client whose handshake fails. alert is how the
// client is told.
func clientTLSRow(name string, kind fault.Kind, why, alert string, arrange func(e *edge)) row {
	e := &edge{}
	r := row{
		name: "TLS from a client, " + name, kind: kind, flags: "DPE", error: kind.ProxyError(), method: "_OTHER",
		origin: "downstream", hop: "client", reason: why, nowhere: true, untimed: true,
		endpoint: func(t testing.TB) string {
			e.ca = proxytest.NewAuthority(t)
			cert := e.ca.Issue("web.test")
			e.listener = config.NewListenerTLS(cert.Cert, cert.Key)
			e.client = e.ca.ClientConfig("web.test")
			arrange(e)
			return "127.0.0.1:1" // nobody gets as far
		},
		change: func(s *proxytest.Settings) { s.Listener.TLS = e.listener },
		drive: func(l *proxytest.Proxy) *http.Response {
			err := proxytest.HandshakeError(l.T, l.Ingress(), e.client)
			if err == nil || !strings.Contains(err.Error(), alert) {
				l.T.Errorf("the client is told: %v, want %q", err, alert)
			}
			return nil
		},
	}
	if kind.ProxyError() == "tls_certificate_error" && kind != fault.ClientCertMissing {
		r.certificate = func() *x509.Certificate { return proxytest.LeafOf(e.ca.T, e.shown) }
	}
	return r
}

// show has the client of a listener that requires a certificate show one.
func (e *edge) show(c config.Certificate) {
	e.listener.ClientAuth, e.listener.ClientCA = "require", e.ca.File
	e.client, e.shown = e.ca.ClientConfig("web.test", c), c.Cert
}

// clientTLSRows are the ways in which a client's handshake fails.
func clientTLSRows() []row {
	return append([]row{
		clientTLSRow("too old", fault.ClientTLSVersion, "none of the versions of TLS that the listener allows (min_version, max_version); it offered [TLS 1.1 TLS 1.0]",
			"protocol version not supported", func(e *edge) { e.client.MinVersion, e.client.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }),
		clientTLSRow("older than the listener wants", fault.ClientTLSVersion, "it offered [TLS 1.2]",
			"protocol version not supported", func(e *edge) { e.listener.MinVersion, e.client.MaxVersion = "1.3", tls.VersionTLS12 }),
		clientTLSRow("another protocol", fault.ClientTLSALPN, "none of the listener's protocols (alpn); it offered ([\"spdy/3\"])",
			"no application protocol", func(e *edge) { e.client.NextProtos = []string{"spdy/3"} }),
		clientTLSRow("suites without AEAD", fault.ClientTLS, "no cipher suite that the listener supports",
			"handshake failure", func(e *edge) {
				e.client.MaxVersion = tls.VersionTLS12
				e.client.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256}
			}),
		clientTLSRow("does not trust the listener", fault.ClientTLSAlert, "alert \"bad certificate\": it does not accept the listener's certificate",
			"unknown authority", func(e *edge) { e.client.RootCAs = proxytest.NewAuthority(e.ca.T).Pool() }),
		clientTLSRow("asks for another name", fault.ClientTLSAlert, "ended the TLS connection with the alert \"bad certificate\"",
			"not other.test", func(e *edge) { e.client.ServerName = "other.test" }),
		clientTLSRow("no certificate", fault.ClientCertMissing, "showed no certificate, which the listener requires (client_auth)",
			"certificate required", func(e *edge) { e.listener.ClientAuth, e.listener.ClientCA = "require", e.ca.File }),
		clientTLSRow("an expired certificate", fault.ClientCertExpired, "has expired",
			"expired certificate", func(e *edge) { e.show(e.ca.Issue("client.test", proxytest.Expired)) }),
		clientTLSRow("an expired certificate, where none is required", fault.ClientCertExpired, "has expired",
			"expired certificate", func(e *edge) {
				e.show(e.ca.Issue("client.test", proxytest.Expired))
				e.listener.ClientAuth = "request"
			}),
		clientTLSRow("a certificate of an unknown authority", fault.ClientCertUnknown, "not signed by an authority that is trusted here: add its authority to the file of client_ca",
			"unknown certificate authority", func(e *edge) { e.show(proxytest.NewAuthority(e.ca.T).Issue("client.test")) }),
		clientTLSRow("a certificate for another name", fault.ClientCertName, "client_san lets in \"spiffe://mesh/ns/default/*\", \"*.friends.test\" alone",
			"bad certificate", func(e *edge) {
				e.show(e.ca.Issue("spiffe://mesh/ns/other/web"))
				e.listener.ClientSAN = []string{"spiffe://mesh/ns/default/*", "*.friends.test"}
			}),
		clientTLSRow("a revoked certificate", fault.ClientCertRevoked, "was revoked on ",
			"bad certificate", func(e *edge) {
				files := e.ca.Issue("client.test")
				e.show(files)
				e.listener.CRL = e.ca.Revoke(files)
			}),
		clientTLSRow("a certificate for servers", fault.ClientCertUnsuitable, "not made for client authentication",
			"bad certificate", func(e *edge) { e.show(e.ca.Issue("client.test", usage(x509.ExtKeyUsageServerAuth))) }),
	}, noHandshakeRows()...)
}

// noHandshakeRows are clients of a TLS port that don't get as far as to shake
// hands.
func noHandshakeRows() []row {
	says := func(name string, kind fault.Kind, why string, drive func(p *proxytest.Peer)) row {
		r := clientTLSRow(name, kind, why, "", func(e *edge) {})
		r.drive = func(l *proxytest.Proxy) *http.Response {
			p := proxytest.Dial(l.T, l.Ingress())
			defer p.Close()
			drive(p)
			return nil
		}
		return r
	}
	silent := says("stalls within the handshake", fault.ClientTLSTimeout, "did not end the TLS handshake within 300ms", func(p *proxytest.Peer) {
		p.Send("\x16\x03\x01\x02\x00\x01\x00")
		p.ReadRest()
	})
	change := silent.change
	silent.change = func(s *proxytest.Settings) {
		change(s)
		s.Listener.TLS.HandshakeTimeout = proxytest.Soon
	}
	return []row{
		silent,
		says("plain HTTP", fault.ClientTLS, "speaks plain HTTP to a port that expects TLS: use https:// for it", func(p *proxytest.Peer) {
			p.Send(proxytest.RowRequest)
			p.ReadRest()
		}),
		says("HTTP/2 without TLS", fault.ClientTLS, "speaks plain HTTP to a port that expects TLS", func(p *proxytest.Peer) {
			p.Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
			p.ReadRest()
		}),
		says("no TLS and no HTTP", fault.ClientTLS, "does not speak TLS, or not as the standard wants it", func(p *proxytest.Peer) {
			p.Send("SSH-2.0-OpenSSH_9.2\r\n")
			p.ReadRest()
		}),
		says("gone within the handshake", fault.ClientTLS, "closed the connection within the TLS handshake", func(p *proxytest.Peer) {
			p.Send("\x16\x03\x01\x02\x00\x01\x00")
			p.AwaitRead()
		}),
		says("reset within the handshake", fault.ClientTLS, "reset the connection within the TLS handshake", func(p *proxytest.Peer) {
			p.Send("\x16\x03\x01\x02\x00\x01\x00")
			p.AwaitRead()
			p.Reset()
		}),
	}
}

// inside is an endpoint's side of a row that speaks TLS, or should.
type inside struct {
	ca     *proxytest.Authority
	server *tls.Config
	shown  string // the file of the endpoint's certificate
	http2  bool   // it speaks HTTP/2 besides
	change func(s *proxytest.Settings)
}

// endpointTLSRow is a row for an endpoint with which no handshake succeeds.
func endpointTLSRow(name string, kind fault.Kind, why string, arrange func(i *inside)) row {
	i := &inside{change: func(*proxytest.Settings) {}}
	r := row{
		name: "TLS to an endpoint, " + name, kind: kind, status: 503, flags: "UF", error: kind.ProxyError(), failed: kind.ProxyError(),
		origin: "proxy", hop: "front", reason: why, tries: []try{{flags: "UF", failed: kind.ProxyError()}}, drive: proxytest.Get,
		endpoint: func(t testing.TB) string {
			i.ca = proxytest.NewAuthority(t)
			i.present(i.ca.Issue("127.0.0.1"))
			arrange(i)
			return proxytest.ServeTLS(t, i.server, i.http2, proxytest.Echo)
		},
		change: func(s *proxytest.Settings) {
			proxytest.UseTLS(s, i.ca.File)
			i.change(s)
		},
	}
	if kind.ProxyError() == "tls_certificate_error" {
		r.certificate = func() *x509.Certificate { return proxytest.LeafOf(i.ca.T, i.shown) }
	}
	return r
}

// present has the endpoint show a certificate.
func (i *inside) present(c config.Certificate) {
	i.server, i.shown = &tls.Config{Certificates: []tls.Certificate{i.ca.Load(c)}}, c.Cert
}

// with changes the cluster's settings.
func (i *inside) with(f func(*config.ClusterTLS)) {
	i.change = func(s *proxytest.Settings) { f(s.Cluster.TLS) }
}

// endpointTLSRows are the ways in which a handshake with an endpoint fails.
func endpointTLSRows() []row {
	raw := func(name string, kind fault.Kind, why string, handle func(p *proxytest.Peer)) row {
		r := endpointTLSRow(name, kind, why, func(*inside) {})
		arrange := r.endpoint
		r.endpoint = func(t testing.TB) string {
			arrange(t)
			return proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
				p.Reader.ReadByte()
				handle(p)
			})
		}
		return r
	}
	silent := raw("silence", fault.TLSTimeout, "did not end the TLS handshake within 300ms", func(p *proxytest.Peer) { p.ReadRest() })
	change := silent.change
	silent.change = func(s *proxytest.Settings) {
		change(s)
		s.Cluster.ConnectTimeout = proxytest.Soon
	}
	return append([]row{
		silent,
		raw("plain HTTP", fault.TLSFailed, "does not speak TLS but plain HTTP", func(p *proxytest.Peer) {
			p.Send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			p.ReadRest()
		}),
		raw("no TLS and no HTTP", fault.TLSFailed, "does not speak TLS, or not as the standard wants it", func(p *proxytest.Peer) {
			p.Send("220 mail.test ESMTP\r\n")
			p.ReadRest()
		}),
		raw("closes", fault.TLSFailed, "closed the connection within the TLS handshake", func(p *proxytest.Peer) {
			p.CloseWrite()
			p.ReadRest()
		}),
		raw("resets", fault.TLSFailed, "reset the connection within the TLS handshake", func(p *proxytest.Peer) { p.Reset() }),
		endpointTLSRow("too old", fault.TLSVersion, "none of the versions of TLS that min_version and max_version allow", func(i *inside) {
			i.server.MaxVersion = tls.VersionTLS12
			i.with(func(c *config.ClusterTLS) { c.MinVersion = "1.3" })
		}),
		endpointTLSRow("no HTTP/2", fault.TLSALPN, "it speaks none of the protocols that it was offered (ALPN)", func(i *inside) {
			i.change = func(s *proxytest.Settings) { s.Cluster.Protocol = "http2" }
		}),
		endpointTLSRow("no ALPN, and HTTP/2 is wanted", fault.TLSALPN, "does not speak HTTP/2 (ALPN did not agree on h2): set the cluster's protocol", func(i *inside) {
			i.server.NextProtos = []string{}
			i.change = func(s *proxytest.Settings) { s.Cluster.Protocol = "http2" }
		}),
		endpointTLSRow("an expired certificate", fault.CertExpired, "has expired", func(i *inside) {
			i.present(i.ca.Issue("127.0.0.1", proxytest.Expired))
		}),
		endpointTLSRow("a certificate of an unknown authority", fault.CertUnknown, "add its authority to the file of ca", func(i *inside) {
			i.present(proxytest.NewAuthority(i.ca.T).Issue("127.0.0.1"))
		}),
		endpointTLSRow("a certificate for another host", fault.CertName, "and not for \"127.0.0.1\": set sni", func(i *inside) {
			i.present(i.ca.Issue("api.test"))
		}),
		endpointTLSRow("a certificate for another name", fault.CertName, "is for \"127.0.0.1\", and not for \"api.test\"", func(i *inside) {
			i.with(func(c *config.ClusterTLS) { c.SNI = "api.test" })
		}),
		endpointTLSRow("another SPIFFE id", fault.CertName, "san lets in \"spiffe://mesh/ns/default/web\" alone", func(i *inside) {
			i.present(i.ca.Issue("spiffe://mesh/ns/other/web"))
			i.with(func(c *config.ClusterTLS) { c.SAN = []string{"spiffe://mesh/ns/default/web"} })
		}),
		endpointTLSRow("a revoked certificate", fault.CertRevoked, "was revoked on ", func(i *inside) {
			files := i.ca.Issue("127.0.0.1")
			i.present(files)
			list := i.ca.Revoke(files)
			i.with(func(c *config.ClusterTLS) { c.CRL = list })
		}),
		endpointTLSRow("another key than the pinned one", fault.CertPin, "none of those that are pinned (spki)", func(i *inside) {
			sum := sha256.Sum256([]byte("another key"))
			i.with(func(c *config.ClusterTLS) { c.SPKI = []string{base64.StdEncoding.EncodeToString(sum[:])} })
		}),
		endpointTLSRow("a certificate for clients", fault.CertUnsuitable, "not made for server authentication", func(i *inside) {
			i.present(i.ca.Issue("127.0.0.1", usage(x509.ExtKeyUsageClientAuth)))
		}),
	}, refusedByEndpointRows()...)
}

// refusedByEndpointRows are endpoints that do not accept the proxy's certificate.
// With TLS 1.3 they say so when the handshake is over for the proxy, whose
// request is on its way.
func refusedByEndpointRows() []row {
	strict := func(i *inside) {
		i.server.ClientAuth, i.server.ClientCAs = tls.RequireAndVerifyClientCert, i.ca.Pool()
	}
	shows := func(i *inside, files config.Certificate) {
		i.with(func(c *config.ClusterTLS) { c.Cert, c.Key = files.Cert, files.Key })
	}
	none := func(i *inside) { strict(i) }
	unknown := func(i *inside) {
		strict(i)
		shows(i, proxytest.NewAuthority(i.ca.T).Issue("front.test"))
	}
	old := func(i *inside) {
		strict(i)
		shows(i, i.ca.Issue("front.test", proxytest.Expired))
	}
	var rows []row
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		of := func(name string, kind fault.Kind, why string, arrange func(*inside)) {
			r := endpointTLSRow(name+", "+tls.VersionName(version), kind, why, func(i *inside) {
				arrange(i)
				i.server.MinVersion, i.server.MaxVersion = version, version
			})
			r.tries[0].secure = version == tls.VersionTLS13
			rows = append(rows, r)
		}
		if version == tls.VersionTLS13 { // which has an alert for it
			of("requires a certificate", fault.TLSCertMissing, "requires a client certificate: set cert and key", none)
		} else {
			of("requires a certificate", fault.TLSAlert, "alert \"handshake failure\": nothing that both sides support was found, such as a cipher suite, or a certificate was expected and not shown", none)
		}
		if version == tls.VersionTLS13 {
			of("requires a certificate, and speaks HTTP/2", fault.TLSCertMissing, "requires a client certificate: set cert and key", func(i *inside) {
				strict(i)
				i.http2 = true
			})
		}
		of("does not know the authority of the cluster's", fault.TLSCertRejected, "does not know the authority that signed the cluster's client certificate", unknown)
		of("refuses an expired one of the cluster's", fault.TLSCertRejected, "the cluster's client certificate has expired: renew it", old)
	}
	return rows
}

// usage makes a certificate that is good for one thing alone.
func usage(u x509.ExtKeyUsage) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{u} }
}
