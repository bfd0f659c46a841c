package metrics

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/hopscope/hopscope/telemetry/hop"
)

var began = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func labels(route, cluster string) *hop.Labels {
	return &hop.Labels{Service: "web", Direction: hop.Inbound, Listener: "ingress", Route: route, Cluster: cluster}
}

// get scrapes m and returns the body.
func get(t *testing.T, m *Metrics, accept string) (body, contentType string) {
	t.Helper()
	req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	req.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, req)
	if w.Code != http.StatusOK {
		t.Fatalf("scrape: %d: %s", w.Code, w.Body)
	}
	return w.Body.String(), w.Header().Get("Content-Type")
}

// parse scrapes m as text and parses it as Prometheus' own parser does.
func parse(t *testing.T, m *Metrics) map[string]*dto.MetricFamily {
	t.Helper()
	body, _ := get(t, m, "text/plain;version=0.0.4")
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		t.Fatalf("%v in\n%s", err, body)
	}
	return families
}

// samples are the values of one family by their labels, as "a=1,b=2"; of a
// histogram its count.
func samples(f *dto.MetricFamily) map[string]float64 {
	all := map[string]float64{}
	for _, m := range f.GetMetric() {
		var pairs []string
		for _, l := range m.GetLabel() {
			if l.GetValue() != "" {
				pairs = append(pairs, l.GetName()+"="+l.GetValue())
			}
		}
		slices.Sort(pairs)
		key := strings.Join(pairs, ",")
		switch {
		case m.Counter != nil:
			all[key] = m.GetCounter().GetValue()
		case m.Gauge != nil:
			all[key] = m.GetGauge().GetValue()
		case m.Histogram != nil:
			all[key] = float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

// hops are one of each sort that ends up in different series.
func hops(l *hop.Labels) []*hop.Hop {
	ok := &hop.Hop{Labels: l, Method: "GET", Status: 200, Start: began, End: 30 * time.Millisecond,
		BytesIn: 10, BytesOut: 98,
		Attempts: []hop.Attempt{{Cluster: "app", Status: 200, Start: time.Millisecond, End: 29 * time.Millisecond}}}
	retried := &hop.Hop{Labels: l, Method: "POST", Status: 503, Start: began, End: 2 * time.Second,
		Flags:   hop.UpstreamConnectionFailure | hop.RetriesExhausted,
		Failure: hop.Failure{Origin: hop.OriginProxy, Hop: "web"}, ProxyError: "connection_refused",
		Attempts: []hop.Attempt{
			{Cluster: "app", Status: 503, End: time.Second},
			{Cluster: "spare", Flags: hop.UpstreamConnectionFailure, ProxyError: "connection_refused", Start: time.Second, End: 2 * time.Second},
		}}
	relayed := &hop.Hop{Labels: l, Method: "_OTHER", Status: 502, Start: began, End: time.Millisecond,
		Failure:  hop.Failure{Origin: hop.OriginRelayed, Hop: "chosen-by-a-stranger"},
		Attempts: []hop.Attempt{{Cluster: "app", Status: 502, End: time.Millisecond}}}
	tunnel := &hop.Hop{Labels: l, Kind: hop.KindTunnel, Method: "CONNECT", Status: 200, Start: began, End: time.Hour,
		BytesIn: 1, BytesOut: 2, Attempts: []hop.Attempt{{Status: 200, End: time.Hour}}}
	garbage := &hop.Hop{Labels: l, Kind: hop.KindConnection, Status: 400, Start: began, End: time.Second,
		Flags: hop.DownstreamProtocolError, Failure: hop.Failure{Origin: hop.OriginDownstream}}
	gone := &hop.Hop{Labels: l, Method: "GET", Start: began, End: 70 * time.Millisecond,
		Flags: hop.DownstreamClosed, Failure: hop.Failure{Origin: hop.OriginDownstream}}
	call := &hop.Hop{Labels: l, Method: "POST", Status: 200, Start: began, End: time.Millisecond,
		GRPC: true, GRPCStatus: hop.GRPCStatusOf(14),
		Attempts: []hop.Attempt{
			{Cluster: "app", Flags: hop.UpstreamReset, ProxyError: "connection_terminated"},
			{Cluster: "app", Status: 200, GRPCStatus: hop.GRPCStatusOf(14)},
		}}
	answered := &hop.Hop{Labels: l, Method: "POST", Status: 200, Start: began, End: time.Millisecond,
		GRPC: true, GRPCStatus: hop.GRPCStatusOf(0),
		Attempts: []hop.Attempt{{Cluster: "app", Status: 200, GRPCStatus: hop.GRPCStatusOf(0)}}}
	expired := &hop.Hop{Labels: l, Kind: hop.KindConnection, Start: began, End: time.Second, Details: "downstream_tls_error{certificate_expired}",
		Flags: hop.DownstreamProtocolError, Failure: hop.Failure{Origin: hop.OriginDownstream}}
	odd := &hop.Hop{Labels: l, Method: "GET", Status: 12345, Start: began, End: -1}
	return []*hop.Hop{ok, ok, retried, relayed, tunnel, garbage, gone, odd, call, answered, answered, expired}
}

func TestObserve(t *testing.T) {
	m := New(Options{Version: "1.2.3", Revision: "abc"})
	l := labels("/api", "app")
	l.Metrics = m.Series(l)
	for range 2 { // the second time with every cell there
		for _, h := range hops(l) {
			m.Observe(h)
		}
	}
	families := parse(t, m)
	want := map[string]map[string]float64{
		"hopscope_requests_total": {
			"cluster=app,code=200,method=GET,route=/api,service=web":             4,
			"cluster=app,code=503,flag=UF,method=POST,route=/api,service=web":    2,
			"cluster=app,code=502,method=_OTHER,route=/api,service=web":          2,
			"cluster=app,code=200,method=CONNECT,route=/api,service=web":         2,
			"cluster=app,code=400,flag=DPE,method=_OTHER,route=/api,service=web": 2,
			"cluster=app,code=0,flag=DC,method=GET,route=/api,service=web":       2,
			"cluster=app,code=0,method=GET,route=/api,service=web":               2,
			"cluster=app,code=0,flag=DPE,method=_OTHER,route=/api,service=web":   2,

			"cluster=app,code=200,grpc_status=UNAVAILABLE,method=POST,route=/api,service=web": 2,
			"cluster=app,code=200,grpc_status=OK,method=POST,route=/api,service=web":          4,
		},
		"hopscope_attempts_total": {
			"cluster=app,code=200,route=/api,service=web":         6, // tunnel too
			"cluster=app,code=503,route=/api,service=web":         2,
			"cluster=spare,code=0,flag=UF,route=/api,service=web": 2,
			"cluster=app,code=502,route=/api,service=web":         2,
			"cluster=app,code=0,flag=UR,route=/api,service=web":   2,

			"cluster=app,code=200,grpc_status=UNAVAILABLE,route=/api,service=web": 2,
			"cluster=app,code=200,grpc_status=OK,route=/api,service=web":          4,
		},
		"hopscope_failures_total": {
			"cluster=app,origin=proxy,route=/api,service=web":      2,
			"cluster=app,origin=relayed,route=/api,service=web":    2,
			"cluster=app,origin=downstream,route=/api,service=web": 6,
			"cluster=app,origin=endpoint,route=/api,service=web":   2,
		},
		"hopscope_connection_failures_total": {
			"listener=ingress,service=web": 2,
			"listener=ingress,reason=downstream_tls_error{certificate_expired},service=web": 2,
		},
		"hopscope_request_bytes_total":  {"cluster=app,direction=inbound,route=/api,service=web": 42},
		"hopscope_response_bytes_total": {"cluster=app,direction=inbound,route=/api,service=web": 396},
		"http_server_request_duration_seconds": {
			"cluster=app,direction=inbound,http_request_method=GET,http_response_status_code=200,route=/api,service=web":     4,
			"cluster=app,direction=inbound,http_request_method=POST,http_response_status_code=503,route=/api,service=web":    2,
			"cluster=app,direction=inbound,http_request_method=_OTHER,http_response_status_code=502,route=/api,service=web":  2,
			"cluster=app,direction=inbound,http_request_method=GET,route=/api,service=web":                                   4,
			"cluster=app,direction=inbound,http_request_method=CONNECT,http_response_status_code=200,route=/api,service=web": 0,
			"cluster=app,direction=inbound,http_request_method=_OTHER,http_response_status_code=400,route=/api,service=web":  0,
			"cluster=app,direction=inbound,http_request_method=_OTHER,route=/api,service=web":                                0,

			"cluster=app,direction=inbound,grpc_status=UNAVAILABLE,http_request_method=POST,http_response_status_code=200,route=/api,service=web": 2,
			"cluster=app,direction=inbound,grpc_status=OK,http_request_method=POST,http_response_status_code=200,route=/api,service=web":          4,
		},
		"http_client_request_duration_seconds": {
			"cluster=app,direction=inbound,http_request_method=GET,http_response_status_code=200,route=/api,service=web":                   4,
			"cluster=app,direction=inbound,error_type=503,http_request_method=POST,http_response_status_code=503,route=/api,service=web":   2,
			"cluster=spare,direction=inbound,error_type=connection_refused,flag=UF,http_request_method=POST,route=/api,service=web":        2,
			"cluster=app,direction=inbound,error_type=502,http_request_method=_OTHER,http_response_status_code=502,route=/api,service=web": 2,
			"cluster=app,direction=inbound,http_request_method=CONNECT,http_response_status_code=200,route=/api,service=web":               0,
			"cluster=app,direction=inbound,error_type=connection_terminated,flag=UR,http_request_method=POST,route=/api,service=web":       2,

			"cluster=app,direction=inbound,error_type=UNAVAILABLE,grpc_status=UNAVAILABLE,http_request_method=POST,http_response_status_code=200,route=/api,service=web": 2,
			"cluster=app,direction=inbound,grpc_status=OK,http_request_method=POST,http_response_status_code=200,route=/api,service=web":                                 4,
		},
		"hopscope_config_last_reload_successful": {"": 1},
		"hopscope_config_reloads_total":          {"result=success": 0, "result=failure": 0},
	}
	for name, want := range want {
		if diff := cmp.Diff(want, samples(families[name])); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for _, name := range []string{"hopscope_build_info", "go_goroutines", "process_open_fds"} {
		if families[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
	if body, _ := get(t, m, ""); strings.Contains(body, "stranger") {
		t.Error("the name of another hop, which that hop chooses, is in a label")
	}
}

func TestBuckets(t *testing.T) {
	m := New(Options{})
	l := labels("/", "app")
	ms := []int{0, 5, 6, 100, 101, 10000, 10001, 60000}
	for _, d := range ms {
		m.Observe(&hop.Hop{Labels: l, Method: "GET", Status: 200, End: time.Duration(d) * time.Millisecond})
	}
	h := parse(t, m)["http_server_request_duration_seconds"].GetMetric()[0].GetHistogram()
	got := map[float64]uint64{}
	for _, b := range h.GetBucket() {
		got[b.GetUpperBound()] = b.GetCumulativeCount()
	}
	want := map[float64]uint64{}
	for _, le := range []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 1e9} {
		for _, d := range ms {
			if float64(d)/1000 <= le {
				want[le]++
			}
		}
	}
	delete(want, 1e9)
	for le, n := range want {
		if got[le] != n {
			t.Errorf("bucket le=%v is %d, want %d", le, got[le], n)
		}
	}
	if len(got) != len(want)+1 || h.GetSampleCount() != uint64(len(ms)) {
		t.Errorf("%d buckets and a count of %d, want %d and %d", len(got), h.GetSampleCount(), len(want)+1, len(ms))
	}
	if sum := h.GetSampleSum(); sum < 80.2129 || sum > 80.2131 {
		t.Errorf("sum %v, want 80.212", sum)
	}
}

// Exemplars name exported traces only, and only in OpenMetrics.
func TestExemplars(t *testing.T) {
	m := New(Options{})
	l := labels("/", "app")
	kept := &hop.Hop{Labels: l, Method: "GET", Status: 200, Start: began, End: 20 * time.Second,
		Trace: hop.TraceID{0xab, 15: 1}, Span: hop.SpanID{0xac}, Keep: hop.KeepSlow,
		Attempts: []hop.Attempt{{Span: hop.SpanID{0xad}, Status: 200, Start: time.Second, End: 1100 * time.Millisecond}}}
	m.Observe(kept)
	m.Observe(&hop.Hop{Labels: l, Method: "GET", Status: 200, Start: began, End: time.Millisecond, Trace: hop.TraceID{0xcd}})
	body, contentType := get(t, m, "application/openmetrics-text;version=1.0.0")
	if !strings.HasPrefix(contentType, "application/openmetrics-text") || !strings.HasSuffix(body, "# EOF\n") {
		t.Fatalf("not OpenMetrics: %s", contentType)
	}
	var got []string
	for line := range strings.Lines(body) {
		if series, ex, ok := strings.Cut(line, " # "); ok {
			name, rest, _ := strings.Cut(series, "{")
			_, le, _ := strings.Cut(rest, `le="`)
			le, _, _ = strings.Cut(le, `"`)
			got = append(got, name+" le="+le+" "+strings.TrimSpace(ex))
		}
	}
	slices.Sort(got)
	const id = `{trace_id="ab000000000000000000000000000001",span_id="ad00000000000000"}`
	want := []string{
		"http_client_request_duration_seconds_bucket le=0.1 " + id + " 0.1 1.7726007681e+09",
		"http_server_request_duration_seconds_bucket le=+Inf " + id + " 20.0 1.772600787e+09",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("exemplars (-want +got):\n%s", diff)
	}
	if body, _ := get(t, m, "text/plain"); strings.Contains(body, "trace_id") {
		t.Error("the plain text format has exemplars")
	}
}

// Series are one for equal labels, and go when their route does.
func TestSeriesAndRetain(t *testing.T) {
	m := New(Options{})
	old, kept := labels("/old", "app"), labels("/kept", "app")
	for _, l := range []*hop.Labels{old, kept} {
		l.Metrics = m.Series(l)
	}
	twin := labels("/kept", "app")
	twin.Listener, twin.Slow = "other", time.Second
	if twin.Metrics = m.Series(twin); twin.Metrics != kept.Metrics {
		t.Error("equal labels have two series")
	}
	outbound := labels("/kept", "app")
	outbound.Direction = hop.Outbound
	if outbound.Metrics = m.Series(outbound); outbound.Metrics == kept.Metrics {
		t.Error("inbound and outbound share a series")
	}
	all := []*hop.Labels{old, kept, twin, outbound}
	observe := func() {
		for _, l := range all {
			m.Observe(&hop.Hop{Labels: l, Method: "GET", Status: 500, Failure: hop.Failure{Origin: hop.OriginEndpoint},
				Attempts: []hop.Attempt{{Status: 500}}})
		}
	}
	observe()
	if body, _ := get(t, m, ""); !strings.Contains(body, `route="/old"`) {
		t.Fatal("the route's series are missing before they went away")
	}
	m.Retain([]*hop.Labels{twin, outbound})
	observe() // hops of the old configuration that end late bring nothing back
	if body, _ := get(t, m, ""); strings.Contains(body, `route="/old"`) {
		t.Errorf("series of a route that went away:\n%s", body)
	}
	// requests_total has no direction: both count into one.
	const key = "cluster=app,code=500,method=GET,route=/kept,service=web"
	if got := samples(parse(t, m)["hopscope_requests_total"])[key]; got != 6 {
		t.Errorf("requests of the route that stayed: %v, want 6", got)
	}
	m.Retain([]*hop.Labels{outbound})
	if got := samples(parse(t, m)["hopscope_requests_total"])[key]; got != 6 {
		t.Errorf("a counter that another series shares was lost: %v, want 6", got)
	}
}

// Failed connections are counted by listener, and forgotten with it.
func TestConnectionFailuresOfListenersThatWentAway(t *testing.T) {
	m := New(Options{})
	stays, goes := labels("", ""), labels("", "")
	goes.Listener = "edge"
	for _, l := range []*hop.Labels{stays, goes, goes} {
		l.Metrics = m.Series(l)
		m.Observe(&hop.Hop{Labels: l, Kind: hop.KindConnection, Details: "http2.flood"})
	}
	want := map[string]float64{"listener=ingress,reason=http2.flood,service=web": 1, "listener=edge,reason=http2.flood,service=web": 2}
	if diff := cmp.Diff(want, samples(parse(t, m)["hopscope_connection_failures_total"])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	m.Retain([]*hop.Labels{stays})
	delete(want, "listener=edge,reason=http2.flood,service=web")
	if diff := cmp.Diff(want, samples(parse(t, m)["hopscope_connection_failures_total"])); diff != "" {
		t.Errorf("after the listener went away (-want +got):\n%s", diff)
	}
}

func TestReloaded(t *testing.T) {
	m := New(Options{})
	m.Reloaded(nil)
	m.Reloaded(errors.New("bad key"))
	families := parse(t, m)
	want := map[string]float64{"result=success": 1, "result=failure": 1}
	if diff := cmp.Diff(want, samples(families["hopscope_config_reloads_total"])); diff != "" {
		t.Errorf("reloads (-want +got):\n%s", diff)
	}
	if got := samples(families["hopscope_config_last_reload_successful"])[""]; got != 0 {
		t.Errorf("last reload successful: %v after a failed one", got)
	}
	m.Reloaded(nil)
	if got := samples(parse(t, m)["hopscope_config_last_reload_successful"])[""]; got != 1 {
		t.Errorf("last reload successful: %v after a good one", got)
	}
}

func TestFunc(t *testing.T) {
	var log bytes.Buffer
	m := New(Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	active := 3.0
	m.Func("hopscope_active_requests", "Requests in flight.", Gauge, []string{"listener"},
		func(emit func(float64, ...string)) { emit(active, "ingress"); emit(1, "egress") })
	m.Func("hopscope_telemetry_dropped_total", "Hops lost.", Counter, []string{"view", "reason"},
		func(emit func(float64, ...string)) { emit(7, "all", "ring_full") })
	active++
	families := parse(t, m)
	if diff := cmp.Diff(map[string]float64{"listener=ingress": 4, "listener=egress": 1},
		samples(families["hopscope_active_requests"])); diff != "" {
		t.Errorf("gauge (-want +got):\n%s", diff)
	}
	if f := families["hopscope_telemetry_dropped_total"]; f.GetType() != dto.MetricType_COUNTER ||
		samples(f)["reason=ring_full,view=all"] != 7 {
		t.Errorf("counter: %v", f)
	}
	if log.Len() > 0 {
		t.Errorf("a good scrape logs: %s", &log)
	}
	m.Func("hopscope_wrong", "Emits too few values.", Gauge, []string{"a", "b"},
		func(emit func(float64, ...string)) { emit(1, "x") })
	if families := parse(t, m); families["hopscope_active_requests"] == nil {
		t.Error("one bad metric hides the others")
	}
	if !strings.Contains(log.String(), "hopscope_wrong") {
		t.Errorf("the bad metric is not logged: %s", &log)
	}
}

// Scrapes and reloads while hops are observed, for the race detector; and a
// hop more than was read before is always there.
func TestConcurrentScrapes(t *testing.T) {
	m := New(Options{NativeHistograms: true})
	l := labels("/", "app")
	l.Metrics = m.Series(l)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			for _, h := range hops(l) {
				h.Keep, h.Trace, h.Status = hop.KeepParent, hop.TraceID{1}, 200+n%5
				m.Observe(h)
			}
		}
	})
	server := httptest.NewServer(m.Handler())
	defer server.Close()
	before := 0.0
	for range 5 {
		m.Retain([]*hop.Labels{l})
		res, err := http.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("scrape: %d, %v: %s", res.StatusCode, err, body)
		}
		parser := expfmt.NewTextParser(model.LegacyValidation)
		families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		now := 0.0
		for _, n := range samples(families["hopscope_requests_total"]) {
			now += n
		}
		if now < before {
			t.Fatalf("counters went from %v to %v", before, now)
		}
		before = now
	}
	close(stop)
	wg.Wait()
}

func TestObserveDoesNotAllocate(t *testing.T) {
	m := New(Options{NativeHistograms: true})
	l := labels("/", "app")
	l.Metrics = m.Series(l)
	all := hops(l)
	for _, h := range all {
		h.Keep, h.Trace = hop.KeepParent, hop.TraceID{1} // exemplars too
		m.Observe(h)
	}
	if n := testing.AllocsPerRun(100, func() {
		for _, h := range all {
			m.Observe(h)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	for _, bench := range []struct {
		name   string
		native bool
		keep   hop.Keep
	}{{"classic", false, hop.KeepNot}, {"native", true, hop.KeepNot}, {"native+exemplars", true, hop.KeepParent}} {
		b.Run(bench.name, func(b *testing.B) {
			m := New(Options{NativeHistograms: bench.native})
			l := labels("/", "app")
			l.Metrics = m.Series(l)
			h := hops(l)[0]
			h.Keep, h.Trace = bench.keep, hop.TraceID{1}
			b.ReportAllocs()
			for b.Loop() {
				m.Observe(h)
			}
		})
	}
}

func BenchmarkScrape(b *testing.B) {
	m := New(Options{NativeHistograms: true})
	for _, route := range []string{"/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h"} {
		for _, h := range hops(labels(route, "app")) {
			m.Observe(h)
		}
	}
	handler := m.Handler()
	b.ReportAllocs()
	for b.Loop() {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil))
	}
}
