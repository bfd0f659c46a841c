package snapshot_test

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
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/snapshot"
	"github.com/hopscope/hopscope/telemetry/headers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startLab runs the lab's proxy in front of an endpoint. It has a collector of
// its own unless the test configures another.
func startLab(t *testing.T, endpoint string, change ...func(*settings)) *rig {
	t.Helper()
	l := &rig{t: t, path: filepath.Join(t.TempDir(), "access.log"), said: &words{}}
	s := settings{
		Listener: config.NewListener("ingress", ownAddress()), Route: config.NewRoute("web"),
		Cluster: config.NewCluster(endpoint), Egress: config.NewListener("egress", ownAddress()), Config: config.New(),
	}
	c := s.Config
	c.Service, c.Admin.Address, c.Telemetry.AccessLog.Path = "front", "127.0.0.1:0", l.path
	s.Egress.Direction, s.Egress.ForwardProxy = "outbound", config.NewForwardProxy()
	for _, f := range change {
		f(&s)
	}
	s.Listener.Routes = append(s.Listener.Routes, s.Route)
	c.Listeners = []config.Listener{s.Listener, s.Egress}
	c.Clusters["web"] = s.Cluster
	if c.Telemetry.Traces.OTLP == nil && c.Telemetry.Traces.Zipkin == nil {
		l.collector = startCollector(t, "127.0.0.1:0")
		c.Telemetry.Traces.OTLP = config.NewOTLP(l.collector.address)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	p, err := snapshot.Start(c, snapshot.Options{Log: slog.New(slog.NewTextHandler(l.said, nil)), Version: "test", Filters: s.Filters})
	if err != nil {
		t.Fatal(err)
	}
	l.proxy = p
	t.Cleanup(l.stop)
	return l
}

// stop cuts what is left and closes the proxy.
func (l *rig) stop() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = l.proxy.Close(ctx) // a test that cares has closed it before
}

// words is a log that is kept.
type words struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *words) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// views is what a proxy showed of its Hops.
type views struct {
	t       *testing.T
	spans   []span
	lines   []line
	metrics metrics
}

// end waits until n Hops have been recorded, reads the metrics, closes the
// proxy, and reads the other views, which are complete then.
func (l *rig) end(n int) *views {
	l.t.Helper()
	return l.endExported(n, n)
}

// endExported is end where fewer Hops than that are exported as spans.
func (l *rig) endExported(n, exported int) *views {
	l.t.Helper()
	v := &views{t: l.t}
	eventually(l.t, fmt.Sprintf("%d hops counted", n), func() bool {
		v.metrics = l.scrape()
		return v.metrics.sum("hopscope_requests_total") >= float64(n)
	})
	v.metrics = l.scrape() // whose numbers are all of one moment, since all is over
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := l.proxy.Close(ctx); err != nil {
		l.t.Errorf("closing the proxy: %v", err)
	}
	v.lines = l.lines()
	if l.collector != nil {
		v.spans = l.collector.all()
	}
	if servers := v.kind(tracepb.Span_SPAN_KIND_SERVER); len(v.lines) != n || v.metrics.sum("hopscope_requests_total") != float64(n) ||
		l.collector != nil && len(servers) != exported {
		l.t.Fatalf("%d lines, %d SERVER spans, %g counted; want %d, and %d spans", len(v.lines), len(servers), v.metrics.sum("hopscope_requests_total"), n, exported)
	}
	return v
}

// settle returns when all requests have ended and been observed: a client has its
// response a moment before.
func (l *rig) settle() {
	l.t.Helper()
	eventually(l.t, "all requests ending", func() bool { return l.scrape().sum("hopscope_downstream_requests_active") == 0 })
	l.flush()
}

// line is a line of the access log, decoded.
type line map[string]any

func (l line) text(key string) string {
	s, _ := l[key].(string)
	return s
}

func (l line) number(key string) float64 {
	n, _ := l[key].(float64)
	return n
}

// of is the object at a key, nil where that is null.
func (l line) of(key string) line {
	o, _ := l[key].(map[string]any)
	return o
}

func (l *rig) lines() []line {
	l.t.Helper()
	b, err := os.ReadFile(l.path)
	if err != nil {
		l.t.Fatal(err)
	}
	var all []line
	b = b[:bytes.LastIndexByte(b, '\n')+1] // a line that is being written is none yet
	for text := range bytes.Lines(b) {
		var one line
		if err := json.Unmarshal(text, &one); err != nil {
			l.t.Errorf("line %q: %v", text, err)
		}
		all = append(all, one)
	}
	return all
}

// metrics are the families of a scrape.
type metrics map[string]*dto.MetricFamily

// scrape flushes, and reads /metrics as Prometheus' text.
func (l *rig) scrape() metrics {
	l.t.Helper()
	l.flush()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(l.admin("/metrics", "text/plain")))
	if err != nil {
		l.t.Fatal(err)
	}
	return families
}

// admin gets a page of the admin API.
func (l *rig) admin(path, accept string) string {
	l.t.Helper()
	r, err := http.NewRequest("GET", "http://"+l.proxy.AdminAddr().String()+path, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	r.Close = true
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		l.t.Fatalf("GET %s: %s, %v: %.200s", path, resp.Status, err, b)
	}
	return string(b)
}

// sum adds up the values, or the counts of histograms, of those metrics of a
// family that have the labels, given as name and value by turns.
func (m metrics) sum(family string, labels ...string) (total float64) {
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

// span is a span as the collector got it.
type span struct {
	*tracepb.Span
	service    string
	attributes map[string]string
}

func (s span) failed() bool { return s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR }

func (v *views) kind(k tracepb.Span_SpanKind) []span {
	var all []span
	for _, s := range v.spans {
		if s.Kind == k {
			all = append(all, s)
		}
	}
	return all
}

// collector is an OpenTelemetry collector that keeps what it gets.
type collector struct {
	coltracepb.UnimplementedTraceServiceServer
	address string
	hang    chan struct{} // while it is open no export is answered; nil is never

	mu    sync.Mutex
	spans []span
}

func startCollector(t *testing.T, address string) *collector {
	t.Helper()
	c := &collector{}
	c.start(t, address)
	return c
}

func (c *collector) start(t *testing.T, address string) {
	t.Helper()
	socket, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c.serve(t, socket)
}

func (c *collector) serve(t *testing.T, socket net.Listener) {
	c.address = socket.Addr().String()
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
func (c *collector) Export(ctx context.Context, r *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	if c.hang != nil {
		select {
		case <-c.hang:
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
				c.spans = append(c.spans, span{s, service, attributes(s.Attributes)})
			}
		}
	}
	return &coltracepb.ExportTraceServiceResponse{}, nil
}

// all is what it has got so far.
func (c *collector) all() []span {
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

// members are the Proxy-Status of a response.
func members(t *testing.T, r *http.Response) []headers.Member {
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

// ask sends a request on a connection of its own and reads the response.
func ask(t *testing.T, address string, request ...string) *http.Response {
	t.Helper()
	p := dialPeer(t, address)
	defer p.Close()
	p.send(request...)
	r, _ := p.response(methodOf(request))
	return r
}

// cutShort is ask where the response does not come whole.
func cutShort(t *testing.T, address string, request ...string) *http.Response {
	t.Helper()
	p := dialPeer(t, address)
	defer p.Close()
	p.send(request...)
	p.SetReadDeadline(time.Now().Add(patience))
	r, err := http.ReadResponse(p.r, &http.Request{Method: methodOf(request)})
	if err != nil {
		t.Fatalf("reading a response's head: %v", err)
	}
	if b, err := io.ReadAll(r.Body); err == nil {
		t.Errorf("the response seems whole: %.100q", b)
	}
	return r
}

func methodOf(request []string) string {
	method, _, _ := strings.Cut(strings.Join(request, ""), " ")
	return method
}
