package snapshot_test

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
)

// pinOf is a certificate's key as the configuration pins it.
func pinOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// What an endpoint is asked for, and what its certificate must have.
func TestTLSUpstreamVerification(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	spiffe := func(c *x509.Certificate) {
		c.DNSNames, c.URIs = nil, []*url.URL{{Scheme: "spiffe", Host: "mesh", Path: "/ns/default/api"}}
	}
	both := ca.issue("api.test", func(c *x509.Certificate) {
		c.URIs = []*url.URL{{Scheme: "spiffe", Host: "mesh", Path: "/ns/default/api"}}
	})
	for _, tt := range []struct {
		name  string
		shown config.Certificate
		set   func(c *config.ClusterTLS)
		sni   string
		peer  string
	}{
		{"the endpoint's address", ca.issue("127.0.0.1"), func(*config.ClusterTLS) {}, "", "CN=127.0.0.1"},
		{"a name", ca.issue("api.test"), func(c *config.ClusterTLS) { c.SNI = "api.test" }, "api.test", "api.test"},
		{"a wildcard", ca.issue("*.test"), func(c *config.ClusterTLS) { c.SNI = "api.test" }, "api.test", "*.test"},
		{"a SPIFFE id", ca.issue("api", spiffe), func(c *config.ClusterTLS) { c.SAN = []string{"spiffe://mesh/ns/default/api"} }, "", "spiffe://mesh/ns/default/api"},
		{"any below a SPIFFE id", ca.issue("api", spiffe), func(c *config.ClusterTLS) { c.SAN = []string{"spiffe://mesh/ns/*"} }, "", "spiffe://mesh/ns/default/api"},
		{"a name besides the one asked for", both, func(c *config.ClusterTLS) { c.SNI, c.SAN = "other.test", []string{"*.test"} }, "other.test", "spiffe://mesh/ns/default/api"},
		{"the pinned key", ca.issue("127.0.0.1"), nil, "", "CN=127.0.0.1"},
		{"the pinned key of its authority", ca.issue("127.0.0.1"), func(c *config.ClusterTLS) { c.SPKI = []string{pinOf(ca.cert)} }, "", "CN=127.0.0.1"},
		{"nothing", newAuthority(t).issue("else.test"), func(c *config.ClusterTLS) { c.CA, c.InsecureSkipVerify = "", true }, "", "else.test"},
		{"nothing but the pinned key", newAuthority(t).issue("else.test", expired), nil, "", "else.test"},
		{"no certificate that is not revoked", ca.issue("127.0.0.1"), func(c *config.ClusterTLS) { c.CRL = ca.revoke(both) }, "", "CN=127.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := make(chan string, 1)
			server := secureServer(t, &tls.Config{
				Certificates:   []tls.Certificate{ca.load(tt.shown)},
				GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil },
				GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
					asked <- h.ServerName
					return nil, nil
				},
			}, false, echo)
			l := startLab(t, server, func(s *settings) {
				c := speaking(s, ca.File)
				leaf := leafOf(t, tt.shown.Cert)
				switch {
				case tt.set != nil:
					tt.set(c)
				case tt.peer == "else.test":
					c.CA, c.InsecureSkipVerify, c.SPKI = "", true, []string{pinOf(leaf)}
				default:
					c.SPKI = []string{pinOf(leaf)}
				}
			})
			same(t, "status", get(l).StatusCode, 200)
			same(t, "SNI", <-asked, tt.sni)
			v := l.end(1)
			a := line(v.lines[0]["attempts"].([]any)[0].(map[string]any))
			same(t, "log: tls_peer", a.of("tls").text("peer"), tt.peer)
			same(t, "log: tls_version", a.of("tls").text("version"), "1.3")
			if a.of("tls").number("handshake_ms") <= 0 || a.number("connect_ms") < a.of("tls").number("handshake_ms") {
				t.Errorf("log: tls_handshake_ms %v, connect_ms %v", a.of("tls")["handshake_ms"], a["connect_ms"])
			}
			client := v.kind(tracepb.Span_SPAN_KIND_CLIENT)[0].attributes
			leaf := leafOf(t, tt.shown.Cert)
			same(t, "span: hopscope.tls.peer", client["hopscope.tls.peer"], tt.peer)
			same(t, "span: tls.server.subject", client["tls.server.subject"], leaf.Subject.String())
			same(t, "span: tls.server.not_after", client["tls.server.not_after"], leaf.NotAfter.UTC().Format(time.RFC3339))
			same(t, "span: tls.protocol.version", client["tls.protocol.version"], "1.3")
		})
	}
}

// An endpoint that wants to know who calls gets the cluster's certificate, with
// those between it and its authority.
func TestTLSUpstreamClientCertificate(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	own := ca.issue("spiffe://mesh/ns/default/front")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			rig := startProxy(t, secureServer(t, &tls.Config{
				Certificates: []tls.Certificate{ca.load(ca.issue("127.0.0.1"))},
				ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: ca.pool(), MaxVersion: version,
			}, false, func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, r.TLS.PeerCertificates[0].URIs[0])
			}), func(s *settings) {
				c := speaking(s, ca.File)
				c.Cert, c.Key = own.Cert, own.Key
			})
			c := rig.dial()
			defer c.Close()
			c.send(getRoot)
			same(t, "the client's certificate", c.ok(), "spiffe://mesh/ns/default/front")
		})
	}
}

// Connections to an endpoint are used again; where a new one is needed the
// session is resumed.
func TestTLSUpstreamReuseAndResumption(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	cert := ca.issue("127.0.0.1")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			l := startLab(t, secureServer(t, &tls.Config{Certificates: []tls.Certificate{ca.load(cert)}, MaxVersion: version}, false,
				func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/close" {
						w.Header().Set("Connection", "close")
					}
					fmt.Fprint(w, "ok")
				}), func(s *settings) { speaking(s, ca.File) })
			p := l.dial()
			defer p.Close()
			for i, tt := range []struct {
				path            string
				reused, resumed bool
			}{{"/", false, false}, {"/close", true, false}, {"/", false, true}, {"/", true, true}} {
				p.send("GET ", tt.path, " HTTP/1.1\r\nHost: a\r\n\r\n")
				p.ok()
				a := line(l.lastLine(i + 1)["attempts"].([]any)[0].(map[string]any))
				what := fmt.Sprintf("request %d: ", i)
				same(t, what+"reused", a["reused"], any(tt.reused))
				same(t, what+"resumed", a.of("tls")["resumed"], any(tt.resumed))
				same(t, what+"peer", a.of("tls").text("peer"), "CN=127.0.0.1")
			}
		})
	}
}

// ALPN decides what is spoken to an endpoint, if the cluster leaves it open.
func TestTLSUpstreamProtocolByALPN(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	cert := ca.issue("127.0.0.1")
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
			l := startLab(t, secureServer(t, &tls.Config{Certificates: []tls.Certificate{ca.load(cert)}}, tt.http2,
				func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }),
				func(s *settings) {
					speaking(s, ca.File)
					s.Cluster.Protocol = tt.protocol
				})
			var wg sync.WaitGroup
			const n = 8
			for range n { // at once, of which the first does not know yet what comes
				wg.Go(func() {
					p := l.dial()
					defer p.Close()
					p.fail = quits(t)
					p.send(plain)
					same(t, "protocol", p.ok(), tt.spoken)
				})
			}
			wg.Wait()
			v := l.end(n)
			version := strings.TrimSuffix(strings.TrimPrefix(tt.spoken, "HTTP/"), ".0")
			for _, s := range v.kind(tracepb.Span_SPAN_KIND_CLIENT) {
				same(t, "span: network.protocol.version", s.attributes["network.protocol.version"], version)
			}
		})
	}
}
