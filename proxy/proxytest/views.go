package proxytest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/snapshot"
	"github.com/hopscope/hopscope/telemetry/headers"
)

func (l *Proxy) MetricsText() string {
	_, text := l.Call("GET", "http://"+l.AdminAddr().String()+"/metrics", "")
	return text
}

// AdminJSON asks the admin API, and returns the status of the answer.
func (l *Proxy) AdminJSON(path string, into any) (status int) {
	l.T.Helper()
	status, body := l.Call("GET", "http://"+l.AdminAddr().String()+path, "")
	if err := json.Unmarshal([]byte(body), into); err != nil {
		l.T.Fatalf("%s: %v in %s", path, err, body)
	}
	return status
}

// By is the one line that has a value.
func (v *Views) By(key, value string) Line {
	v.T.Helper()
	var found []Line
	for _, l := range v.Lines {
		if l.Text(key) == value {
			found = append(found, l)
		}
	}
	if len(found) != 1 {
		v.T.Fatalf("%d lines with %s %s, want 1: %v", len(found), key, value, v.Lines)
	}
	return found[0]
}

// StartWithViews runs a proxy of the service "front" in front of an endpoint, all views
// of which can be looked at. It has a collector of its own unless the test configures
// another.
func StartWithViews(t *testing.T, endpoint string, change ...func(*Settings)) *Proxy {
	t.Helper()
	l := &Proxy{T: t, path: filepath.Join(t.TempDir(), "access.log"), Said: &Log{}}
	s := newSettings(endpoint)
	c := s.Config
	c.Service, c.Admin.Address, c.Telemetry.AccessLog.Path = "front", "127.0.0.1:0", l.path
	for _, f := range change {
		f(s)
	}
	s.complete()
	if c.Telemetry.Traces.OTLP == nil && c.Telemetry.Traces.Zipkin == nil {
		l.Collector = startCollector(t, "127.0.0.1:0")
		c.Telemetry.Traces.OTLP = config.NewOTLP(l.Collector.Address)
	}
	l.Proxy = start(t, c, snapshot.Options{Log: slog.New(slog.NewTextHandler(l.Said, nil)), Version: "test", Filters: s.Filters})
	t.Cleanup(l.Stop)
	return l
}

// Stop cuts what is left and closes the proxy.
func (l *Proxy) Stop() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = l.Close(ctx) // a test that cares has closed it before
}

// Log is a log that is kept.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *Log) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}

func (w *Log) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// Views is what a proxy showed of its Hops.
type Views struct {
	T       *testing.T
	Spans   []Span
	Lines   []Line
	Metrics Metrics
}

// End waits until n Hops have been recorded, reads the metrics, closes the
// proxy, and reads the other views, which are complete then.
func (l *Proxy) End(n int) *Views {
	l.T.Helper()
	return l.EndExported(n, n)
}

// EndExported is end where fewer Hops than that are exported as spans.
func (l *Proxy) EndExported(n, exported int) *Views {
	l.T.Helper()
	v := &Views{T: l.T}
	Eventually(l.T, fmt.Sprintf("%d hops counted", n), func() bool {
		v.Metrics = l.Scrape()
		return v.Metrics.Sum("hopscope_requests_total") >= float64(n)
	})
	v.Metrics = l.Scrape() // whose numbers are all of one moment, since all is over
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		l.T.Errorf("closing the proxy: %v", err)
	}
	v.Lines = l.Lines()
	if l.Collector != nil {
		v.Spans = l.Collector.All()
	}
	if servers := v.Kind(tracepb.Span_SPAN_KIND_SERVER); len(v.Lines) != n || v.Metrics.Sum("hopscope_requests_total") != float64(n) ||
		l.Collector != nil && len(servers) != exported {
		l.T.Fatalf("%d lines, %d SERVER spans, %g counted; want %d, and %d spans", len(v.Lines), len(servers), v.Metrics.Sum("hopscope_requests_total"), n, exported)
	}
	return v
}

// Settle returns when all requests have ended and been observed: a client has its
// response a moment before.
func (l *Proxy) Settle() {
	l.T.Helper()
	Eventually(l.T, "all requests ending", func() bool { return l.Scrape().Sum("hopscope_downstream_requests_active") == 0 })
	l.FlushViews()
}

// Line is a line of the access log, decoded.
type Line map[string]any

func (l Line) Text(key string) string {
	s, _ := l[key].(string)
	return s
}

func (l Line) Number(key string) float64 {
	n, _ := l[key].(float64)
	return n
}

// Of is the object at a key, nil where that is null.
func (l Line) Of(key string) Line {
	o, _ := l[key].(map[string]any)
	return o
}

func (l *Proxy) Lines() []Line {
	l.T.Helper()
	b, err := os.ReadFile(l.path)
	if err != nil {
		l.T.Fatal(err)
	}
	var all []Line
	b = b[:bytes.LastIndexByte(b, '\n')+1] // a line that is being written is none yet
	for text := range bytes.Lines(b) {
		var one Line
		if err := json.Unmarshal(text, &one); err != nil {
			l.T.Errorf("line %q: %v", text, err)
		}
		all = append(all, one)
	}
	return all
}

// Metrics are the families of a scrape.
type Metrics map[string]*dto.MetricFamily

// Scrape flushes, and reads /metrics as Prometheus' text.
func (l *Proxy) Scrape() Metrics {
	l.T.Helper()
	l.FlushViews()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(l.Admin("/metrics", "text/plain")))
	if err != nil {
		l.T.Fatal(err)
	}
	return families
}

// Admin gets a page of the admin API.
func (l *Proxy) Admin(path, accept string) string {
	l.T.Helper()
	r, err := http.NewRequest("GET", "http://"+l.AdminAddr().String()+path, nil)
	if err != nil {
		l.T.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	r.Close = true
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		l.T.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		l.T.Fatalf("GET %s: %s, %v: %.200s", path, resp.Status, err, b)
	}
	return string(b)
}

// Sum adds up the values, or the counts of histograms, of those metrics of a
// family that have the labels, given as name and value by turns.
func (m Metrics) Sum(family string, labels ...string) (total float64) {
	for _, metric := range m[family].GetMetric() {
		if !hasLabels(metric, labels) {
			continue
		}
		total += metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
	}
	return total
}

func hasLabels(m *dto.Metric, labels []string) bool {
	for pair := range slices.Chunk(labels, 2) {
		value := ""
		for _, l := range m.GetLabel() {
			if l.GetName() == pair[0] {
				value = l.GetValue()
			}
		}
		if value != pair[1] {
			return false
		}
	}
	return true
}

// Span is a span as the collector got it.
type Span struct {
	*tracepb.Span
	Service    string
	Attributes map[string]string
}

func (s Span) Failed() bool { return s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR }

func (v *Views) Kind(k tracepb.Span_SpanKind) []Span {
	var all []Span
	for _, s := range v.Spans {
		if s.Kind == k {
			all = append(all, s)
		}
	}
	return all
}

// Collector is an OpenTelemetry collector that keeps what it gets.
type Collector struct {
	coltracepb.UnimplementedTraceServiceServer
	Address string
	Hang    chan struct{} // while it is open no export is answered; nil is never

	mu    sync.Mutex
	spans []Span
}

func startCollector(t *testing.T, address string) *Collector {
	t.Helper()
	c := &Collector{}
	c.Start(t, address)
	return c
}

func (c *Collector) Start(t *testing.T, address string) {
	t.Helper()
	socket, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c.Serve(t, socket)
}

func (c *Collector) Serve(t *testing.T, socket net.Listener) {
	c.Address = socket.Addr().String()
	server := grpc.NewServer()
	coltracepb.RegisterTraceServiceServer(server, c)
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(socket) })
	t.Cleanup(func() {
		server.Stop()
		wg.Wait()
	})
}

// Export is the collector's one method.
func (c *Collector) Export(ctx context.Context, r *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	if c.Hang != nil {
		select {
		case <-c.Hang:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range r.ResourceSpans {
		service := attributes(rs.Resource.Attributes)["service.name"]
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				c.spans = append(c.spans, Span{s, service, attributes(s.Attributes)})
			}
		}
	}
	return &coltracepb.ExportTraceServiceResponse{}, nil
}

// All is what it has got so far.
func (c *Collector) All() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

func attributes(list []*commonpb.KeyValue) map[string]string {
	m := map[string]string{}
	for _, kv := range list {
		switch v := kv.Value.Value.(type) {
		case *commonpb.AnyValue_StringValue:
			m[kv.Key] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			m[kv.Key] = fmt.Sprint(v.IntValue)
		case *commonpb.AnyValue_BoolValue:
			m[kv.Key] = fmt.Sprint(v.BoolValue)
		}
	}
	return m
}

// ProxyStatus are the Proxy-Status of a response.
func ProxyStatus(t *testing.T, r *http.Response) []headers.Member {
	t.Helper()
	var lines [][]byte
	for _, v := range r.Header.Values("Proxy-Status") {
		lines = append(lines, []byte(v))
	}
	all, err := headers.ParseProxyStatus(lines)
	if err != nil {
		t.Errorf("Proxy-Status %q: %v", lines, err)
	}
	return all
}

// LineKeys are those of every line, no more and no less, attemptKeys of each attempt,
// and tlsKeys of either where there is TLS.
var (
	LineKeys = strings.Fields(`time service direction client host method path route cluster upstream protocol status
	grpc_status grpc_status_name grpc_message flags failed_hop failure_reason bytes_in bytes_out duration_ms upstream_ms
	attempts trace_id span_id parent_id sampled request_id user_agent tls`)
	AttemptKeys = strings.Fields(`endpoint url status grpc_status flags reason bytes_sent bytes_received duration_ms connect_ms
	reused tls`)
	TLSKeys = strings.Fields(`version cipher sni peer resumed handshake_ms`)
)
