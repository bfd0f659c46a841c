package metrics

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"maps"
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

// samplesOf are the samples of a family whose labels have a part.
func samplesOf(t *testing.T, m *Metrics, family, part string) map[string]float64 {
	all := samples(parse(t, m)[family])
	maps.DeleteFunc(all, func(key string, _ float64) bool { return !strings.Contains(key, part) })
	return all
}

// hops are one of each sort that ends up in different series.
func hops(l *hop.Labels) []*hop.Hop {
	ok := &hop.Hop{Labels: l, Method: "GET", Status: 200, Start: began, End: 30 * time.Millisecond,
		BytesIn: 10, BytesOut: 98,
		Attempts: []hop.Attempt{{Cluster: "app", Status: 200, Start: time.Millisecond, End: 29 * time.Millisecond}}}
	retried := &hop.Hop{Labels: l, Method: "POST", Status: 503, Start: began, End: 2 * time.Second,
		Flags:   hop.UpstreamConnectionFailure | hop.RetriesExhausted,
		Failure: hop.Failure{Origin: hop.OriginProxy, Hop: "web", Part: hop.PartApplication, Kind: "connect_refused"}, ProxyError: "connection_refused",
		Attempts: []hop.Attempt{
			{Cluster: "app", Status: 503, End: time.Second},
			{Cluster: "spare", Flags: hop.UpstreamConnectionFailure, ProxyError: "connection_refused", Start: time.Second, End: 2 * time.Second},
		}}
	relayed := &hop.Hop{Labels: l, Method: "_OTHER", Status: 502, Start: began, End: time.Millisecond,
		Failure:  hop.Failure{Origin: hop.OriginRelayed, Hop: "stranger"},
		Attempts: []hop.Attempt{{Cluster: "app", Status: 502, End: time.Millisecond}}}
	tunnel := &hop.Hop{Labels: l, Kind: hop.KindTunnel, Method: "CONNECT", Status: 200, Start: began, End: time.Hour,
		BytesIn: 1, BytesOut: 2, Attempts: []hop.Attempt{{Status: 200, End: time.Hour}}}
	garbage := &hop.Hop{Labels: l, Kind: hop.KindConnection, Status: 400, Start: began, End: time.Second,
		Flags: hop.DownstreamProtocolError, Failure: hop.Failure{Origin: hop.OriginDownstream}}
	gone := &hop.Hop{Labels: l, Method: "GET", Start: began, End: 70 * time.Millisecond,
		Flags: hop.DownstreamClosed, Failure: hop.Failure{Origin: hop.OriginDownstream}}
	unavailable := call(l, "/shop.Cart/Add", 14, 14)
	unavailable.Attempts = append([]hop.Attempt{
		{Cluster: "app", Flags: hop.UpstreamReset, ProxyError: "connection_terminated"},
	}, unavailable.Attempts...)
	answered := call(l, "/shop.Cart/Add", 0, 0)
	expired := &hop.Hop{Labels: l, Kind: hop.KindConnection, Start: began, End: time.Second, Details: "downstream_tls_error{certificate_expired}",
		Flags: hop.DownstreamProtocolError, Failure: hop.Failure{Origin: hop.OriginDownstream}}
	odd := &hop.Hop{Labels: l, Method: "GET", Status: 12345, Start: began, End: -1}
	return []*hop.Hop{ok, ok, retried, relayed, tunnel, garbage, gone, odd, unavailable, answered, answered, expired}
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
			"code=200,method=GET":             4,
			"code=503,flag=UF,method=POST":    2,
			"code=502,method=_OTHER":          2,
			"code=200,method=CONNECT":         2,
			"code=400,flag=DPE,method=_OTHER": 2,
			"code=0,flag=DC,method=GET":       2,
			"code=0,method=GET":               2,
			"code=0,flag=DPE,method=_OTHER":   2,

			"code=200,grpc_status=UNAVAILABLE,method=POST": 2,
			"code=200,grpc_status=OK,method=POST":          4,
		},
		"hopscope_attempts_total": {
			"code=200":                     6, // tunnel too
			"code=503":                     2,
			"cluster=spare,code=0,flag=UF": 2,
			"code=502":                     2,
			"code=0,flag=UR":               2,

			"code=200,grpc_status=UNAVAILABLE": 2,
			"code=200,grpc_status=OK":          4,
		},
		"hopscope_attempt_duration_seconds": {
			"code=200":                4, // no tunnel
			"code=503,error_type=503": 2,
			"cluster=spare,code=0,error_type=connection_refused,flag=UF": 2,
			"code=502,error_type=502":                                    2,
			"code=0,error_type=connection_terminated,flag=UR":            2,

			"code=200,error_type=UNAVAILABLE,grpc_status=UNAVAILABLE": 2,
			"code=200,grpc_status=OK":                                 4,
		},
		"hopscope_failures_total": {
			"failed_hop=web,kind=connect_refused,origin=proxy,part=application": 2,
			"failed_hop=stranger,origin=relayed":                                2,
			"origin=downstream":                                                 6,
			"origin=endpoint":                                                   2,
		},
		"hopscope_connection_failures_total": {
			"listener=ingress": 2,
			"listener=ingress,reason=downstream_tls_error{certificate_expired}": 2,
		},
		"hopscope_request_bytes_total":  {"": 42},
		"hopscope_response_bytes_total": {"": 396},
		"http_server_request_duration_seconds": {
			"http_request_method=GET,http_response_status_code=200":                                4,
			"error_type=connection_refused,http_request_method=POST,http_response_status_code=503": 2,
			"error_type=502,http_request_method=_OTHER,http_response_status_code=502":              2,
			"error_type=_OTHER,http_request_method=GET":                                            2, // a status that HTTP does not have
			"http_request_method=GET":                                                              2,
		},
		"http_client_request_duration_seconds": {},
		"rpc_server_call_duration_seconds": {
			"error_type=UNAVAILABLE,rpc_grpc_status_code=14,rpc_method=Add,rpc_service=shop.Cart": 2,
			"rpc_grpc_status_code=0,rpc_method=Add,rpc_service=shop.Cart":                         4,
		},
		"rpc_client_call_duration_seconds": {},
	}
	common := map[string]string{"service": "web", "direction": "inbound", "route": "/api", "cluster": "app"}
	for name, want := range want {
		if diff := cmp.Diff(want, without(common, samples(families[name]))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	want = map[string]map[string]float64{
		"hopscope_config_last_reload_successful": {"": 1},
		"hopscope_config_reloads_total":          {},
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
}

// Outbound hops are the client's: of HTTP, or of gRPC.
func TestObserveOutbound(t *testing.T) {
	m := New(Options{})
	l := labels("payments", "payments")
	l.Direction = hop.Outbound
	m.Observe(&hop.Hop{Labels: l, Method: "GET", Status: 200, End: time.Millisecond})
	m.Observe(&hop.Hop{Labels: l, Method: "GET", Status: 404, End: time.Millisecond}) // to the caller, an error
	for _, code := range []int{0, 5} {
		m.Observe(call(l, "/shop.Cart/Add", code, code))
	}
	families := parse(t, m)
	common := map[string]string{"service": "web", "cluster": "payments", "route": "payments"}
	for name, want := range map[string]map[string]float64{
		"http_client_request_duration_seconds": {
			"http_request_method=GET,http_response_status_code=200":                1,
			"error_type=404,http_request_method=GET,http_response_status_code=404": 1,
		},
		"rpc_client_call_duration_seconds": {
			"rpc_grpc_status_code=0,rpc_method=Add,rpc_service=shop.Cart":                      1,
			"error_type=NOT_FOUND,rpc_grpc_status_code=5,rpc_method=Add,rpc_service=shop.Cart": 1,
		},
		"http_server_request_duration_seconds": {},
		"rpc_server_call_duration_seconds":     {},
	} {
		if diff := cmp.Diff(want, without(common, samples(families[name]))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for name, f := range families {
		for _, one := range f.GetMetric() {
			for _, l := range one.GetLabel() {
				if strings.HasPrefix(name, "hopscope_") && l.GetName() == "direction" && l.GetValue() != "outbound" {
					t.Errorf("%s: %v", name, one)
				}
			}
		}
	}
}

// without cuts labels with these values out of the keys of samples.
func without(labels map[string]string, all map[string]float64) map[string]float64 {
	short := map[string]float64{}
	for key, n := range all {
		var pairs []string
		for pair := range strings.SplitSeq(key, ",") {
			if name, value, _ := strings.Cut(pair, "="); labels[name] != value || value == "" {
				pairs = append(pairs, pair)
			}
		}
		short[strings.Join(pairs, ",")] = n
	}
	return short
}

// call is a gRPC call that ended with one code for the client, and another for its one
// attempt; -1 is none.
func call(l *hop.Labels, path string, code, attempt int) *hop.Hop {
	h := &hop.Hop{Labels: l, Method: "POST", Status: 200, Start: began, End: time.Millisecond, GRPC: true, GRPCStatus: hop.GRPCStatusOf(code)}
	h.SetString(&h.Path, path)
	a := h.Attempt()
	*a = hop.Attempt{Cluster: "app"}
	if attempt >= 0 {
		a.Status, a.GRPCStatus = 200, hop.GRPCStatusOf(attempt)
	}
	return h
}

func TestBuckets(t *testing.T) {
	m := New(Options{})
	l := labels("/", "app")
	ms := []int{0, 1, 2, 5, 6, 100, 101, 10000, 10001, 60000}
	for _, d := range ms {
		m.Observe(&hop.Hop{Labels: l, Method: "GET", Status: 200, End: time.Duration(d) * time.Millisecond})
	}
	h := parse(t, m)["http_server_request_duration_seconds"].GetMetric()[0].GetHistogram()
	got := map[float64]uint64{}
	for _, b := range h.GetBucket() {
		got[b.GetUpperBound()] = b.GetCumulativeCount()
	}
	want := map[float64]uint64{}
	for _, le := range []float64{.0005, .001, .0025, .005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 1e9} {
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
	if sum := h.GetSampleSum(); sum < 80.2159 || sum > 80.2161 {
		t.Errorf("sum %v, want 80.215", sum)
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
		"hopscope_attempt_duration_seconds_bucket le=0.1 " + id + " 0.1 1.7726007681e+09",
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
	want := map[string]float64{"direction=inbound": 4, "direction=outbound": 2}
	common := map[string]string{"service": "web", "cluster": "app", "code": "500", "method": "GET", "route": "/kept"}
	if diff := cmp.Diff(want, without(common, samples(parse(t, m)["hopscope_requests_total"]))); diff != "" {
		t.Errorf("requests of the route that stayed (-want +got):\n%s", diff)
	}
	// gRPC calls have no route: both routes count into one.
	other := labels("/other", "app")
	m.Observe(call(twin, "/shop.Cart/Add", 0, 0))
	m.Observe(call(other, "/shop.Cart/Add", 0, 0))
	m.Retain([]*hop.Labels{outbound, other})
	delete(want, "direction=inbound")
	if diff := cmp.Diff(want, without(common, without(map[string]string{"route": "/other", "code": "200"}, samplesOf(t, m, "hopscope_requests_total", "direction=outbound")))); diff != "" {
		t.Errorf("requests after the second reload (-want +got):\n%s", diff)
	}
	if got := samples(parse(t, m)["rpc_server_call_duration_seconds"]); len(got) != 1 || got["cluster=app,rpc_grpc_status_code=0,rpc_method=Add,rpc_service=shop.Cart,service=web"] != 2 {
		t.Errorf("a histogram that another series shares was lost: %v", got)
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
	want := map[string]float64{
		"direction=inbound,listener=ingress,reason=http2.flood,service=web": 1, "direction=inbound,listener=edge,reason=http2.flood,service=web": 2}
	if diff := cmp.Diff(want, samples(parse(t, m)["hopscope_connection_failures_total"])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	m.Retain([]*hop.Labels{stays})
	delete(want, "direction=inbound,listener=edge,reason=http2.flood,service=web")
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
