package record_test

import (
	"bytes"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/telemetry/accesslog"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/metrics"
	"github.com/hopscope/hopscope/telemetry/record"
)

// fill makes h an ordinary request with one attempt.
func fill(h *hop.Hop, l *hop.Labels) {
	h.Labels = l
	h.Trace, h.Span, h.Parent = hop.TraceID{1, 15: 2}, hop.SpanID{3}, hop.SpanID{4}
	h.Start, h.End = time.Unix(1772600767, 89012000), 4500*time.Microsecond
	h.Method, h.Version, h.Status, h.BytesOut, h.Client = "GET", hop.HTTP11, 200, 98, "192.0.2.7:5123"
	h.SetString(&h.Host, "shop.example")
	h.SetString(&h.Path, "/api/items")
	h.SetString(&h.UserAgent, "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
	h.SetString(&h.RequestID, "5c0e5fd6-7f4c-4a39-9b2c-8d1f3f0f1a77")
	a := h.Attempt()
	a.Endpoint, a.Cluster, a.Reused, a.Status = "10.0.0.3:3000", "api", true, 200
	a.Start, a.Connected, a.FirstByte, a.End = 100*time.Microsecond, 101*time.Microsecond, 4200*time.Microsecond, 4400*time.Microsecond
}

// Hops become numbers and lines, and what is lost on the way is a metric.
func TestRecorderFeedsViews(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	log, err := accesslog.Open(path, accesslog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := metrics.New(metrics.Options{NativeHistograms: true})
	r := record.New([]record.View{m, log}, record.Options{})
	m.Func("hopscope_telemetry_dropped_total", "Hops that a view did not see.", metrics.Counter,
		[]string{"view", "reason"}, func(emit func(float64, ...string)) {
			r.Dropped(emit)
			log.Dropped(emit)
		})
	l := &hop.Labels{Service: "web", Route: "/api/", Cluster: "api"}
	l.Metrics = m.Series(l)
	const hops = 500
	for n := range hops {
		h := r.Sink(n).Open()
		fill(h, l)
		r.Sink(n).Record(h)
	}
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte(`"route":"/api/"`)); n != hops {
		t.Errorf("%d lines, want %d", n, hops)
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`hopscope_requests_total{cluster="api",code="200",direction="inbound",flag="",grpc_status="",method="GET",route="/api/",service="web"} 500`,
	} {
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("/metrics has no %s", want)
		}
	}
	if strings.Contains(w.Body.String(), "hopscope_telemetry_dropped_total{") {
		t.Error("/metrics says that something was dropped")
	}
}

// What a hop costs with metrics and an access log, the filling in included, on
// one core.
func BenchmarkViews(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	log, err := accesslog.Open("/dev/null", accesslog.Options{})
	if err != nil {
		b.Fatal(err)
	}
	m := metrics.New(metrics.Options{NativeHistograms: true})
	r := record.New([]record.View{m, log}, record.Options{})
	l := &hop.Labels{Service: "web", Route: "/api/", Cluster: "api"}
	l.Metrics = m.Series(l)
	s := r.Sink(0)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		h := s.Open()
		fill(h, l)
		s.Record(h)
		if n%32 == 31 {
			runtime.Gosched() // as a proxy does between its connections
		}
	}
	if err := r.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	lost := 0.0
	count := func(n float64, _ ...string) { lost += n }
	r.Dropped(count)
	log.Dropped(count)
	b.ReportMetric(lost/float64(b.N), "dropped/op")
}
