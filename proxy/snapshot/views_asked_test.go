package snapshot_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// TestSpansSayWhatWasAsked: the SERVER span says what the client asked for, and each
// CLIENT span what its attempt did.
func TestSpansSayWhatWasAsked(t *testing.T) {
	const path = "/tls/a?page=2&token=s3cret"
	for _, up := range sides[:2] {
		t.Run(up.name, func(t *testing.T) {
			for _, tt := range []struct{ name, host, wants string }{
				{"as the client", "", "shop.test:8080"},
				{"a host of the route's", "up.test", "up.test"},
				{"the endpoint's", "endpoint", "ENDPOINT"},
			} {
				t.Run(tt.name, func(t *testing.T) {
					p := stage(t, up, 2, answers(503), answers(200))
					l := startLab(t, p.addresses[0], p.before(up), func(s *settings) {
						s.Route.Host = tt.host
						s.Cluster.Retry = retrying(2, "5xx")
					})
					r, _ := http.NewRequest("GET", "http://"+l.ingress()+path, nil)
					r.Host = "shop.test:8080"
					resp, err := http.DefaultClient.Do(r)
					if err != nil {
						t.Fatal(err)
					}
					resp.Body.Close()
					v := l.end(1)
					server := v.kind(tracepb.Span_SPAN_KIND_SERVER)[0].attributes
					same(t, "SERVER: url.scheme", server["url.scheme"], "http")
					same(t, "SERVER: server.address", server["server.address"], "shop.test")
					same(t, "SERVER: server.port", server["server.port"], "8080")
					same(t, "SERVER: url.path", server["url.path"], "/tls/a")
					clients := v.kind(tracepb.Span_SPAN_KIND_CLIENT)
					same(t, "CLIENT spans", len(clients), 2)
					for i, s := range clients {
						a := s.attributes
						host := strings.ReplaceAll(tt.wants, "ENDPOINT", a["network.peer.address"]+":"+a["network.peer.port"])
						address, p, found := strings.Cut(host, ":")
						if !found {
							p = "80"
						}
						url := "http://" + host + "/tls/a?page=2&token=REDACTED"
						same(t, fmt.Sprint("CLIENT ", i, ": url.full"), a["url.full"], url)
						same(t, fmt.Sprint("CLIENT ", i, ": server.address"), a["server.address"], address)
						same(t, fmt.Sprint("CLIENT ", i, ": server.port"), a["server.port"], p)
						same(t, fmt.Sprint("log: attempt ", i, ": url"), attemptOf(v.lines[0], i).text("url"), url)
					}
				})
			}
		})
	}
}

// TestSpansSayThatAnAttemptIsEncrypted: the client asked in plain text, and named a port
// that is not the endpoint's.
func TestSpansSayThatAnAttemptIsEncrypted(t *testing.T) {
	ca := newAuthority(t)
	endpoint := secureServer(t, &tls.Config{Certificates: []tls.Certificate{ca.load(ca.issue("127.0.0.1"))}}, false, echo)
	l := startLab(t, endpoint, func(s *settings) {
		s.Route.Host = "up.test"
		speaking(s, ca.File)
	})
	ask(t, l.ingress(), "GET /a HTTP/1.1\r\nHost: shop.test:8080\r\n\r\n")
	v := l.end(1)
	a := v.kind(tracepb.Span_SPAN_KIND_CLIENT)[0].attributes
	same(t, "url.full", a["url.full"], "https://up.test/a")
	same(t, "server.address", a["server.address"], "up.test")
	same(t, "server.port", a["server.port"], "443")
	same(t, "log: url", attemptOf(v.lines[0], 0).text("url"), "https://up.test/a")
}

// TestHedgesSayWhatTheyAsked: attempts that race write into records of their own.
func TestHedgesSayWhatTheyAsked(t *testing.T) {
	p := stage(t, h1c, 2, hangs, answers(200))
	l := startLab(t, p.addresses[0], p.before(h1c), hedging(2), func(s *settings) { s.Route.Host = "endpoint" })
	resp := ask(t, l.ingress(), "GET /a HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
	same(t, "status", resp.StatusCode, 200)
	v := l.end(1)
	for _, s := range v.kind(tracepb.Span_SPAN_KIND_CLIENT) {
		a := s.attributes
		same(t, "url.full", a["url.full"], "http://"+a["network.peer.address"]+":"+a["network.peer.port"]+"/a")
	}
}

// attemptOf is the i-th attempt of a line.
func attemptOf(l line, i int) line {
	all, _ := l["attempts"].([]any)
	if i >= len(all) {
		return line{}
	}
	one, _ := all[i].(map[string]any)
	return one
}
