package tls_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// pinOf is a certificate's key as the configuration pins it.
func pinOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// What an endpoint is asked for, and what its certificate must have.
func TestTLSUpstreamVerification(t *testing.T) {
	proxytest.NoLeaks(t)
	ca := proxytest.NewAuthority(t)
	spiffe := func(c *x509.Certificate) {
		c.DNSNames, c.URIs = nil, []*url.URL{{Scheme: "spiffe", Host: "mesh", Path: "/ns/default/api"}}
	}
	both := ca.Issue("api.test", func(c *x509.Certificate) {
		c.URIs = []*url.URL{{Scheme: "spiffe", Host: "mesh", Path: "/ns/default/api"}}
	})
	for _, tt := range []struct {
		name  string
		shown config.Certificate
		set   func(c *config.ClusterTLS)
		sni   string
		peer  string
	}{
		{"the endpoint's address", ca.Issue("127.0.0.1"), func(*config.ClusterTLS) {}, "", "CN=127.0.0.1"},
		{"a name", ca.Issue("api.test"), func(c *config.ClusterTLS) { c.SNI = "api.test" }, "api.test", "api.test"},
		{"a wildcard", ca.Issue("*.test"), func(c *config.ClusterTLS) { c.SNI = "api.test" }, "api.test", "*.test"},
		{"a SPIFFE id", ca.Issue("api", spiffe), func(c *config.ClusterTLS) { c.SAN = []string{"spiffe://mesh/ns/default/api"} }, "", "spiffe://mesh/ns/default/api"},
		{"any below a SPIFFE id", ca.Issue("api", spiffe), func(c *config.ClusterTLS) { c.SAN = []string{"spiffe://mesh/ns/*"} }, "", "spiffe://mesh/ns/default/api"},
		{"a name besides the one asked for", both, func(c *config.ClusterTLS) { c.SNI, c.SAN = "other.test", []string{"*.test"} }, "other.test", "spiffe://mesh/ns/default/api"},
		{"the pinned key", ca.Issue("127.0.0.1"), nil, "", "CN=127.0.0.1"},
		{"the pinned key of its authority", ca.Issue("127.0.0.1"), func(c *config.ClusterTLS) { c.SPKI = []string{pinOf(ca.Cert)} }, "", "CN=127.0.0.1"},
		{"nothing", proxytest.NewAuthority(t).Issue("else.test"), func(c *config.ClusterTLS) { c.CA, c.InsecureSkipVerify = "", true }, "", "else.test"},
		{"nothing but the pinned key", proxytest.NewAuthority(t).Issue("else.test", proxytest.Expired), nil, "", "else.test"},
		{"no certificate that is not revoked", ca.Issue("127.0.0.1"), func(c *config.ClusterTLS) { c.CRL = ca.Revoke(both) }, "", "CN=127.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := make(chan string, 1)
			server := proxytest.ServeTLS(t, &tls.Config{
				Certificates:   []tls.Certificate{ca.Load(tt.shown)},
				GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil },
				GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
					asked <- h.ServerName
					return nil, nil
				},
			}, false, proxytest.Echo)
			l := proxytest.StartWithViews(t, server, func(s *proxytest.Settings) {
				c := proxytest.UseTLS(s, ca.File)
				leaf := proxytest.LeafOf(t, tt.shown.Cert)
				switch {
				case tt.set != nil:
					tt.set(c)
				case tt.peer == "else.test":
					c.CA, c.InsecureSkipVerify, c.SPKI = "", true, []string{pinOf(leaf)}
				default:
					c.SPKI = []string{pinOf(leaf)}
				}
			})
			proxytest.Same(t, "status", proxytest.Get(l).StatusCode, 200)
			proxytest.Same(t, "SNI", <-asked, tt.sni)
			v := l.End(1)
			a := proxytest.Line(v.Lines[0]["attempts"].([]any)[0].(map[string]any))
			proxytest.Same(t, "log: tls_peer", a.Of("tls").Text("peer"), tt.peer)
			proxytest.Same(t, "log: tls_version", a.Of("tls").Text("version"), "1.3")
			if a.Of("tls").Number("handshake_ms") <= 0 || a.Number("connect_ms") < a.Of("tls").Number("handshake_ms") {
				t.Errorf("log: tls_handshake_ms %v, connect_ms %v", a.Of("tls")["handshake_ms"], a["connect_ms"])
			}
			span := v.Kind(tracepb.Span_SPAN_KIND_SERVER)[0].Attributes
			leaf := proxytest.LeafOf(t, tt.shown.Cert)
			proxytest.Same(t, "span: hopscope.upstream.tls.peer", span["hopscope.upstream.tls.peer"], tt.peer)
			proxytest.Same(t, "span: hopscope.upstream.tls.subject", span["hopscope.upstream.tls.subject"], leaf.Subject.String())
			proxytest.Same(t, "span: hopscope.upstream.tls.not_after", span["hopscope.upstream.tls.not_after"], leaf.NotAfter.UTC().Format(time.RFC3339))
			proxytest.Same(t, "span: hopscope.upstream.tls.version", span["hopscope.upstream.tls.version"], "1.3")
		})
	}
}

// An endpoint that wants to know who calls gets the cluster's certificate, with
// those between it and its authority.
func TestTLSUpstreamClientCertificate(t *testing.T) {
	proxytest.NoLeaks(t)
	ca := proxytest.NewAuthority(t)
	own := ca.Issue("spiffe://mesh/ns/default/front")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			rig := proxytest.Start(t, proxytest.ServeTLS(t, &tls.Config{
				Certificates: []tls.Certificate{ca.Load(ca.Issue("127.0.0.1"))},
				ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(), MaxVersion: version,
			}, false, func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, r.TLS.PeerCertificates[0].URIs[0])
			}), func(s *proxytest.Settings) {
				c := proxytest.UseTLS(s, ca.File)
				c.Cert, c.Key = own.Cert, own.Key
			})
			c := rig.Dial()
			defer c.Close()
			c.Send(proxytest.RootRequest)
			proxytest.Same(t, "the client's certificate", c.ReadOK(), "spiffe://mesh/ns/default/front")
		})
	}
}

// Connections to an endpoint are used again; where a new one is needed the
// session is resumed.
func TestTLSUpstreamReuseAndResumption(t *testing.T) {
	proxytest.NoLeaks(t)
	ca := proxytest.NewAuthority(t)
	cert := ca.Issue("127.0.0.1")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			l := proxytest.StartWithViews(t, proxytest.ServeTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.Load(cert)}, MaxVersion: version}, false,
				func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/close" {
						w.Header().Set("Connection", "close")
					}
					fmt.Fprint(w, "ok")
				}), func(s *proxytest.Settings) { proxytest.UseTLS(s, ca.File) })
			p := l.Dial()
			defer p.Close()
			for i, tt := range []struct {
				path            string
				reused, resumed bool
			}{{"/", false, false}, {"/close", true, false}, {"/", false, true}, {"/", true, true}} {
				p.Send("GET ", tt.path, " HTTP/1.1\r\nHost: a\r\n\r\n")
				p.ReadOK()
				a := proxytest.Line(lastLine(l, i+1)["attempts"].([]any)[0].(map[string]any))
				what := fmt.Sprintf("request %d: ", i)
				proxytest.Same(t, what+"reused", a["reused"], any(tt.reused))
				proxytest.Same(t, what+"resumed", a.Of("tls")["resumed"], any(tt.resumed))
				proxytest.Same(t, what+"peer", a.Of("tls").Text("peer"), "CN=127.0.0.1")
			}
		})
	}
}

// ALPN decides what is spoken to an endpoint, if the cluster leaves it open.
func TestTLSUpstreamProtocolByALPN(t *testing.T) {
	proxytest.NoLeaks(t)
	ca := proxytest.NewAuthority(t)
	cert := ca.Issue("127.0.0.1")
	for _, tt := range []struct {
		name, protocol string
		http2          bool
		spoken         string
	}{
		{"auto, and HTTP/2 is there", "auto", true, "HTTP/2.0"},
		{"auto, and HTTP/2 is not there", "auto", false, "HTTP/1.1"},
		{"HTTP/1.1, and HTTP/2 is there", "http1", true, "HTTP/1.1"},
		{"HTTP/2", "http2", true, "HTTP/2.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := proxytest.StartWithViews(t, proxytest.ServeTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.Load(cert)}}, tt.http2,
				func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }),
				func(s *proxytest.Settings) {
					proxytest.UseTLS(s, ca.File)
					s.Cluster.Protocol = tt.protocol
				})
			var wg sync.WaitGroup
			const n = 8
			for range n { // at once, of which the first does not know yet what comes
				wg.Go(func() {
					p := l.Dial()
					defer p.Close()
					p.Fail = proxytest.FailAndExit(t)
					p.Send(proxytest.RowRequest)
					proxytest.Same(t, "protocol", p.ReadOK(), tt.spoken)
				})
			}
			wg.Wait()
			v := l.End(n)
			version := strings.TrimSuffix(strings.TrimPrefix(tt.spoken, "HTTP/"), ".0")
			for _, s := range v.Hops() {
				for _, a := range v.Attempts(s) {
					spoken := a.Attributes["network.protocol.version"]
					if own := a.Attributes["hopscope.upstream.protocol_version"]; own != "" {
						spoken = own
					}
					proxytest.Same(t, "span: protocol spoken with the endpoint", spoken, version)
				}
			}
		})
	}
}
