package views_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestSpansSayWhatWasAsked: the SERVER span says what the client asked for, and each
// CLIENT span what its attempt did.
func TestSpansSayWhatWasAsked(t *testing.T) {
	const path = "/tls/a?page=2&token=s3cret"
	for _, up := range proxytest.Sides[:2] {
		t.Run(up.Name, func(t *testing.T) {
			for _, tt := range []struct{ name, host, wants string }{
				{"as the client", "", "shop.test:8080"},
				{"a host of the route's", "up.test", "up.test"},
				{"the endpoint's", "endpoint", "ENDPOINT"},
			} {
				t.Run(tt.name, func(t *testing.T) {
					p := proxytest.StartScript(t, up, 2, proxytest.Respond(503), proxytest.Respond(200))
					l := proxytest.StartWithViews(t, p.Addresses[0], p.Before(up), func(s *proxytest.Settings) {
						s.Route.Host = tt.host
						s.Cluster.Retry = proxytest.Retrying(2, "5xx")
					})
					r, _ := http.NewRequest("GET", "http://"+l.Ingress()+path, nil)
					r.Host = "shop.test:8080"
					resp, err := http.DefaultClient.Do(r)
					if err != nil {
						t.Fatal(err)
					}
					proxytest.Finish(resp)
					v := l.End(1)
					server := v.Kind(tracepb.Span_SPAN_KIND_SERVER)[0].Attributes
					proxytest.Same(t, "SERVER: url.scheme", server["url.scheme"], "http")
					proxytest.Same(t, "SERVER: server.address", server["server.address"], "shop.test")
					proxytest.Same(t, "SERVER: server.port", server["server.port"], "8080")
					proxytest.Same(t, "SERVER: url.path", server["url.path"], "/tls/a")
					clients := v.Kind(tracepb.Span_SPAN_KIND_CLIENT)
					proxytest.Same(t, "CLIENT spans", len(clients), 2)
					for i, s := range clients {
						a := s.Attributes
						host := strings.ReplaceAll(tt.wants, "ENDPOINT", a["network.peer.address"]+":"+a["network.peer.port"])
						address, p, found := strings.Cut(host, ":")
						if !found {
							p = "80"
						}
						url := "http://" + host + "/tls/a?page=2&token=REDACTED"
						proxytest.Same(t, fmt.Sprint("CLIENT ", i, ": url.full"), a["url.full"], url)
						proxytest.Same(t, fmt.Sprint("CLIENT ", i, ": server.address"), a["server.address"], address)
						proxytest.Same(t, fmt.Sprint("CLIENT ", i, ": server.port"), a["server.port"], p)
						proxytest.Same(t, fmt.Sprint("log: attempt ", i, ": url"), attemptOf(v.Lines[0], i).Text("url"), url)
					}
				})
			}
		})
	}
}

// TestSpansSayThatAnAttemptIsEncrypted: the client asked in plain text, and named a port
// that is not the endpoint's. A SERVER span says what the client asked, a CLIENT span what
// the attempt did, and each the other beside it.
func TestSpansSayThatAnAttemptIsEncrypted(t *testing.T) {
	ca := proxytest.NewAuthority(t)
	endpoint := proxytest.ServeTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.Load(ca.Issue("127.0.0.1"))}}, false, proxytest.Echo)
	for direction, want := range map[string]map[string]string{
		"inbound": {
			"url.full": "", "url.path": "/a", "url.scheme": "http", "server.address": "shop.test", "server.port": "8080",
			"hopscope.upstream.url": "https://up.test/a", "hopscope.upstream.tls.version": "1.3", "tls.protocol.version": "",
			"hopscope.upstream.endpoint": endpoint,
		},
		"outbound": {
			"url.full": "https://up.test/a", "server.address": "up.test", "server.port": "443", "tls.protocol.version": "1.3",
			"hopscope.downstream.url": "http://shop.test:8080/a", "hopscope.downstream.tls.version": "",
		},
	} {
		t.Run(direction, func(t *testing.T) {
			l := proxytest.StartWithViews(t, endpoint, func(s *proxytest.Settings) {
				s.Listener.Direction = direction
				s.Route.Host = "up.test"
				proxytest.UseTLS(s, ca.File)
			})
			proxytest.Ask(t, l.Ingress(), "GET /a HTTP/1.1\r\nHost: shop.test:8080\r\n\r\n")
			v := l.End(1)
			kind := map[string]tracepb.Span_SpanKind{"inbound": tracepb.Span_SPAN_KIND_SERVER, "outbound": tracepb.Span_SPAN_KIND_CLIENT}[direction]
			a := v.Kind(kind)[0].Attributes
			for name, value := range want {
				proxytest.Same(t, name, a[name], value)
			}
			proxytest.Same(t, "log: url", attemptOf(v.Lines[0], 0).Text("url"), "https://up.test/a")
		})
	}
}

// TestHedgesSayWhatTheyAsked: attempts that race write into records of their own.
func TestHedgesSayWhatTheyAsked(t *testing.T) {
	p := proxytest.StartScript(t, proxytest.H1C, 2, proxytest.Hang, proxytest.Respond(200))
	l := proxytest.StartWithViews(t, p.Addresses[0], p.Before(proxytest.H1C), proxytest.Hedging(2), func(s *proxytest.Settings) { s.Route.Host = "endpoint" })
	resp := proxytest.Ask(t, l.Ingress(), "GET /a HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
	proxytest.Same(t, "status", resp.StatusCode, 200)
	v := l.End(1)
	for _, s := range v.Kind(tracepb.Span_SPAN_KIND_CLIENT) {
		a := s.Attributes
		proxytest.Same(t, "url.full", a["url.full"], "http://"+a["network.peer.address"]+":"+a["network.peer.port"]+"/a")
	}
}

// attemptOf is the i-th attempt of a line.
func attemptOf(l proxytest.Line, i int) proxytest.Line {
	all, _ := l["attempts"].([]any)
	if i >= len(all) {
		return proxytest.Line{}
	}
	one, _ := all[i].(map[string]any)
	return one
}

// The path that a request went on with is in every view, where it is not the client's.
func TestRewrittenPathIsSeen(t *testing.T) {
	for _, up := range proxytest.Sides[:2] {
		t.Run(up.Name, func(t *testing.T) {
			p := proxytest.StartScript(t, up, 2, proxytest.Respond(200), proxytest.Respond(200), proxytest.Respond(200))
			l := proxytest.StartWithViews(t, p.Addresses[0], p.Before(up), func(s *proxytest.Settings) {
				old := s.Route
				old.Match.PathPrefix, old.Rewrite = "/old/", &config.Rewrite{PathPrefix: "/new/"}
				s.Listener.Routes = append(s.Listener.Routes, old)
			})
			asked := []struct{ path, rewritten string }{{"/plain", ""}, {"/x/../%61", "/a"}, {"/old//x", "/new/x"}}
			for _, a := range asked {
				resp, err := http.Get("http://" + l.Ingress() + a.path)
				if err != nil {
					t.Fatal(err)
				}
				proxytest.Finish(resp)
			}
			v := l.End(len(asked))
			for _, a := range asked {
				line := v.Lines[slices.IndexFunc(v.Lines, func(l proxytest.Line) bool { return l.Text("path") == a.path })]
				proxytest.Same(t, a.path+" in the log", line.Text("rewritten_path"), a.rewritten)
				for _, s := range v.Kind(tracepb.Span_SPAN_KIND_SERVER) {
					if s.Attributes["url.path"] == a.path {
						proxytest.Same(t, a.path+" in its span", s.Attributes["hopscope.rewritten_path"], a.rewritten)
					}
				}
			}
		})
	}
}
