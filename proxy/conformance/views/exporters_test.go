package views_test

import (
	"compress/gzip"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// secureCollectors starts two collectors that ask for a certificate of the authority and
// for a key in a header: one of OTLP over gRPC, one of OTLP over HTTP with gzip.
func secureCollectors(t *testing.T, a *proxytest.Authority) (overGRPC, overHTTP *proxytest.Collector) {
	serverTLS := &tls.Config{
		Certificates: []tls.Certificate{a.Load(a.Issue("collector.internal"))}, NextProtos: []string{"h2", "http/1.1"},
		ClientCAs: a.Pool(), ClientAuth: tls.RequireAndVerifyClientCert,
	}
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	overGRPC, overHTTP = &proxytest.Collector{}, &proxytest.Collector{}
	overGRPC.Serve(t, tls.NewListener(socket, serverTLS))
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Api-Key") != "s3cr3t" || r.URL.Path != "/base/v1/traces" || r.Header.Get("Content-Encoding") != "gzip" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		var request coltracepb.ExportTraceServiceRequest
		body, err := gzip.NewReader(r.Body)
		if err == nil {
			var content []byte
			if content, err = io.ReadAll(body); err == nil {
				err = proto.Unmarshal(content, &request)
			}
		}
		if err == nil {
			_, err = overHTTP.Export(r.Context(), &request)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}))
	s.TLS, s.EnableHTTP2 = serverTLS, true
	s.StartTLS()
	t.Cleanup(s.Close)
	overHTTP.Address = s.Listener.Addr().String()
	return overGRPC, overHTTP
}

// Every exporter gets every span, whatever becomes of the others, and what is lost is
// counted for each.
func TestSeveralExporters(t *testing.T) {
	t.Parallel()
	a := proxytest.NewAuthority(t)
	mine := a.Issue("proxy.internal")
	overGRPC, overHTTP := secureCollectors(t, a)
	_, dead := proxytest.Bound(t)
	l := proxytest.StartWithViews(t, proxytest.Always(proxytest.OKResponse)(t), func(s *proxytest.Settings) {
		show := func() *config.CollectorTLS {
			return &config.CollectorTLS{CA: a.File, Cert: mine.Cert, Key: mine.Key, ServerName: "collector.internal"}
		}
		one := config.NewOTLP(overGRPC.Address)
		one.TLS = show()
		two := config.NewOTLP("https://" + overHTTP.Address + "/base/v1/traces")
		two.Protocol, two.Compression, two.Headers, two.TLS = "http/protobuf", "gzip", map[string]string{"x-api-key": "s3cr3t"}, show()
		three := config.NewOTLP(dead)
		three.Timeout = 100 * time.Millisecond
		s.Config.Telemetry.Traces.Exporters = []config.Exporter{{OTLP: one}, {OTLP: two}, {OTLP: three}}
	})
	unharmed(l, 50, "")
	for name, c := range map[string]*proxytest.Collector{"the first": l.Collector, "gRPC": overGRPC, "HTTP": overHTTP} {
		proxytest.Eventually(t, "all spans at "+name, func() bool { return len(c.All()) == 50 })
	}
	const family = "hopscope_telemetry_dropped_total"
	proxytest.Eventually(t, "lost spans being counted", func() bool { return l.Scrape().Sum(family, "exporter", "otlp "+dead) > 0 })
	m := l.Scrape() // all numbers of one moment
	proxytest.Same(t, "lost by others", m.Sum(family)-m.Sum(family, "exporter", "otlp "+dead), 0)
	proxytest.Eventually(t, "the log saying so", func() bool { return strings.Contains(l.Said.String(), "spans are lost") })
	warned(l, "spans are lost")
	if said := l.Said.String(); strings.Contains(said, "s3cr3t") {
		t.Errorf("the log has a secret:\n%s", said)
	}
}

// A collector whose certificate is of another authority gets nothing.
func TestCollectorOfAnotherAuthority(t *testing.T) {
	t.Parallel()
	a, other := proxytest.NewAuthority(t), proxytest.NewAuthority(t)
	overGRPC, overHTTP := secureCollectors(t, a)
	l := proxytest.StartWithViews(t, proxytest.Always(proxytest.OKResponse)(t), func(s *proxytest.Settings) {
		for i, c := range []*proxytest.Collector{overGRPC, overHTTP} {
			o := config.NewOTLP(c.Address)
			o.Protocol, o.Timeout = []string{"grpc", "http/protobuf"}[i], 100*time.Millisecond
			o.TLS = &config.CollectorTLS{CA: other.File, ServerName: "collector.internal"}
			s.Config.Telemetry.Traces.Exporters = append(s.Config.Telemetry.Traces.Exporters, config.Exporter{OTLP: o})
		}
	})
	unharmed(l, 10, "")
	for _, c := range []*proxytest.Collector{overGRPC, overHTTP} {
		proxytest.Eventually(t, "lost spans being counted", func() bool {
			return l.Scrape().Sum("hopscope_telemetry_dropped_total", "reason", "export_failed", "exporter", "otlp "+c.Address) > 0
		})
		proxytest.Same(t, "spans that came", len(c.All()), 0)
	}
	for _, c := range []*proxytest.Collector{overGRPC, overHTTP} {
		warning := `spans are lost" exporter="otlp ` + c.Address
		proxytest.Eventually(t, "the log saying so", func() bool { return strings.Contains(l.Said.String(), warning) })
		warned(l, warning)
	}
}

// A collector over HTTP that refuses, is busy and hangs, one after the other, harms no
// request, is spoken of once, and gets spans again when it takes them.
func TestCollectorOverHTTPThatRecovers(t *testing.T) {
	t.Parallel()
	ways := map[string]http.HandlerFunc{
		"refuses": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusBadRequest) },
		"is busy": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "later", http.StatusServiceUnavailable) },
		"hangs": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // else the server does not notice that the client has left
			<-r.Context().Done()
		},
	}
	var way atomic.Pointer[http.HandlerFunc]
	var taken atomic.Int64
	takes := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { taken.Add(1) })
	way.Store(&takes)
	address := proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) { (*way.Load())(w, r) })
	l := proxytest.StartWithViews(t, proxytest.Always(proxytest.OKResponse)(t), func(s *proxytest.Settings) {
		o := config.NewOTLP(address)
		o.Protocol, o.Timeout = "http/protobuf", 100*time.Millisecond
		s.Config.Telemetry.Traces.OTLP = o
	})
	for name, handler := range ways {
		before := lostBy(l, "spans", "export_failed")
		way.Store(&handler)
		unharmed(l, 50, "")
		proxytest.Eventually(t, "lost spans while the collector "+name, func() bool {
			unharmed(l, 1, "")
			return lostBy(l, "spans", "export_failed") > before
		})
		way.Store(&takes)
		before = float64(taken.Load())
		proxytest.Eventually(t, "spans at the collector that "+name+" no more", func() bool {
			unharmed(l, 1, "")
			return float64(taken.Load()) > before
		})
	}
	proxytest.Eventually(t, "the proxy saying so", func() bool { return strings.Contains(l.Said.String(), "exporting spans works again") })
	if n := strings.Count(l.Said.String(), "spans are lost"); n < 1 || n > 2 { // 2 if all this took more than a minute
		t.Errorf("%d warnings, want one a minute:\n%s", n, l.Said.String())
	}
}
