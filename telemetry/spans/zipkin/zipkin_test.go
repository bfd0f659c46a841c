package zipkin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/spans"
)

var _ spans.Exporter = (*Exporter)(nil)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// span is Zipkin's v2 form, as its API documents it.
type span struct {
	TraceID        string            `json:"traceId"`
	ID             string            `json:"id"`
	ParentID       string            `json:"parentId"`
	Name           string            `json:"name"`
	Kind           string            `json:"kind"`
	Timestamp      int64             `json:"timestamp"`
	Duration       int64             `json:"duration"`
	Debug          bool              `json:"debug"`
	Shared         bool              `json:"shared"`
	LocalEndpoint  map[string]any    `json:"localEndpoint"`
	RemoteEndpoint map[string]any    `json:"remoteEndpoint"`
	Annotations    []annotation      `json:"annotations"`
	Tags           map[string]string `json:"tags"`
}

type annotation struct {
	Timestamp int64  `json:"timestamp"`
	Value     string `json:"value"`
}

var started = time.UnixMicro(1_700_000_000_000_000)

// failedHop is a request that was refused by its endpoint within a fraction of
// a microsecond.
func failedHop(start time.Time) *hop.Hop {
	h := &hop.Hop{
		Labels: &hop.Labels{Service: "Web", Route: "/api/", Cluster: "api"},
		Trace:  hop.TraceID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
		Span:   hop.SpanID{7: 2}, Sampled: true, Keep: hop.KeepDebug,
		Start: start, End: 40 * time.Millisecond, Method: "GET", Scheme: "http",
		Version: hop.HTTP11, Client: "203.0.113.9", Peer: "[::1]:4711",
		Status: 503, Flags: hop.UpstreamConnectionFailure, ProxyError: "connection_refused",
		Failure: hop.Failure{Origin: hop.OriginProxy, Hop: "web", Reason: "connection refused by 127.0.0.1:4000"},
	}
	h.SetString(&h.Path, "/api/x")
	*h.Attempt() = hop.Attempt{
		Span: hop.SpanID{7: 3}, Endpoint: "127.0.0.1:4000", Cluster: "api",
		Start: time.Millisecond, Connected: time.Millisecond + 100, End: time.Millisecond + 300,
		Flags: hop.UpstreamConnectionFailure, ProxyError: "connection_refused",
	}
	return h
}

// export sends hops to url and returns what was dropped, by reason.
func export(t *testing.T, o Options, hops ...*hop.Hop) map[string]int {
	t.Helper()
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s := spans.New([]spans.Exporter{e}, spans.Options{})
	for _, h := range hops {
		s.Observe(h)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	m := make(map[string]int)
	s.Dropped(func(value float64, labels ...string) {
		if value > 0 {
			m[labels[1]] = int(value)
		}
	})
	return m
}

// call is a request that the service made, answered at the second try.
func call(start time.Time) *hop.Hop {
	h := failedHop(start)
	h.Labels = &hop.Labels{Service: "Web", Direction: hop.Outbound, Cluster: "stock"}
	h.Span, h.Parent = hop.SpanID{7: 4}, hop.SpanID{7: 3}
	h.Status, h.Flags, h.ProxyError, h.Failure = 200, 0, "", hop.Failure{}
	h.SetString(&h.Host, "stock")
	first := h.LastAttempt()
	first.Span, first.Connected = hop.SpanID{7: 5}, 0
	*h.Attempt() = hop.Attempt{
		Span: hop.SpanID{7: 6}, Endpoint: "127.0.0.1:4001", Cluster: "stock", Version: hop.HTTP11, Reused: true,
		Start: 2 * time.Millisecond, FirstByte: 3 * time.Millisecond, End: 4 * time.Millisecond, Status: 200,
	}
	h.Ask("http", h.Bytes(h.Host), h.Bytes(h.Path), nil)
	return h
}

const traceID = "0102030405060708090a0b0c0d0e0f10"

// wantSpans are those of failedHop and of call: an inbound hop that is one span with its
// attempt, and an outbound one with two attempts.
var wantSpans = []span{{
	TraceID: traceID, ID: "0000000000000003",
	Name: "get /api/", Kind: "SERVER", Timestamp: started.UnixMicro(), Duration: 40_000, Debug: true,
	LocalEndpoint:  map[string]any{"serviceName": "web"},
	RemoteEndpoint: map[string]any{"ipv4": "203.0.113.9"},
	Annotations:    []annotation{{started.UnixMicro() + 1000, "connected"}},
	Tags: map[string]string{
		"http.request.method": "GET", "http.route": "/api/", "http.response.status_code": "503",
		"http.request.body.size": "0", "http.response.body.size": "0",
		"url.scheme": "http", "url.path": "/api/x", "client.address": "203.0.113.9",
		"network.peer.address": "::1", "network.peer.port": "4711", "network.protocol.version": "1.1",
		"error": "connection refused by 127.0.0.1:4000", "error.type": "connection_refused",
		"hopscope.flags": "UF", "hopscope.failed_hop": "web", "hopscope.failure_origin": "proxy",
		"hopscope.failure_reason": "connection refused by 127.0.0.1:4000",
		"hopscope.cluster":        "api", "hopscope.direction": "inbound", "hopscope.sampled_by": "debug",
		"hopscope.upstream.endpoint": "127.0.0.1:4000", "hopscope.upstream.status_code": "0",
	},
}, {
	TraceID: traceID, ID: "0000000000000004", ParentID: "0000000000000003",
	Name: "get", Kind: "CLIENT", Timestamp: started.UnixMicro(), Duration: 40_000, Debug: true,
	LocalEndpoint: map[string]any{"serviceName": "web"},
	Tags: map[string]string{
		"http.request.method": "GET", "http.response.status_code": "200",
		"http.request.body.size": "0", "http.response.body.size": "0", "client.address": "203.0.113.9",
		"url.full": "http://stock/api/x", "server.address": "stock", "server.port": "80", "network.protocol.version": "1.1",
		"hopscope.cluster": "stock", "hopscope.direction": "outbound", "hopscope.sampled_by": "debug",
	},
}, {
	TraceID: traceID, ID: "0000000000000005", ParentID: "0000000000000004",
	Name: "get", Kind: "CLIENT", Timestamp: started.UnixMicro() + 1000, Duration: 1,
	LocalEndpoint:  map[string]any{"serviceName": "web"},
	RemoteEndpoint: map[string]any{"ipv4": "127.0.0.1", "port": float64(4000)},
	Tags: map[string]string{
		"http.request.method": "GET", "http.request.body.size": "0", "http.response.body.size": "0",
		"network.peer.address": "127.0.0.1", "network.peer.port": "4000",
		"error": "connection_refused", "error.type": "connection_refused",
		"hopscope.flags": "UF", "hopscope.cluster": "api",
	},
}, {
	TraceID: traceID, ID: "0000000000000006", ParentID: "0000000000000004",
	Name: "get", Kind: "CLIENT", Timestamp: started.UnixMicro() + 2000, Duration: 2000,
	LocalEndpoint:  map[string]any{"serviceName": "web"},
	RemoteEndpoint: map[string]any{"ipv4": "127.0.0.1", "port": float64(4001)},
	Annotations:    []annotation{{started.UnixMicro() + 3000, "first_byte"}},
	Tags: map[string]string{
		"http.request.method": "GET", "http.response.status_code": "200", "http.request.resend_count": "1",
		"http.request.body.size": "0", "http.response.body.size": "0",
		"url.full": "http://stock/api/x", "server.address": "stock", "server.port": "80",
		"network.peer.address": "127.0.0.1", "network.peer.port": "4001", "network.protocol.version": "1.1",
		"hopscope.cluster": "stock", "hopscope.connection_reused": "true",
	},
}}

func TestForm(t *testing.T) {
	var got []span
	var contentType, path string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		contentType, path = r.Header.Get("Content-Type"), r.URL.Path
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	if d := export(t, Options{URL: server.URL}, failedHop(started), call(started)); len(d) > 0 {
		t.Errorf("dropped %v", d)
	}
	if contentType != "application/json" || path != "/api/v2/spans" {
		t.Errorf("a POST of %q to %q", contentType, path)
	}
	if diff := cmp.Diff(wantSpans, got); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
}

// Zipkin knows no resource: each span has the attributes that were given, but for those
// that it has of its own.
func TestResourceAttributesAreTags(t *testing.T) {
	got := make(chan []span, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var list []span
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil {
			t.Error(err)
		}
		got <- list
	}))
	defer server.Close()
	e, err := New(Options{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	s := spans.New([]spans.Exporter{e}, spans.Options{Attributes: map[string]string{"deployment.environment.name": "prod", "http.route": "no"}})
	s.Observe(failedHop(started))
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	tags := (<-got)[0].Tags
	if tags["deployment.environment.name"] != "prod" || tags["http.route"] != "/api/" {
		t.Errorf("tags %v", tags)
	}
}

// The same hops, asked back from a real Zipkin.
func TestZipkin(t *testing.T) {
	z := backends.Zipkin(t)
	now := time.Now().Truncate(time.Microsecond) // Zipkin forgets what is old
	if d := export(t, Options{URL: z.Spans}, failedHop(now), call(now)); len(d) > 0 {
		t.Fatalf("dropped %v", d)
	}
	var got []span
	backends.Await(t, 20*time.Second, func() error {
		if err := backends.Get(z.URL+"/api/v2/trace/"+traceID, &got); err != nil {
			return err
		}
		if len(got) != len(wantSpans) {
			return fmt.Errorf("%d spans, not %d yet", len(got), len(wantSpans))
		}
		return nil
	})
	shift := now.UnixMicro() - started.UnixMicro()
	for i := range got {
		got[i].Timestamp -= shift
		for j := range got[i].Annotations {
			got[i].Annotations[j].Timestamp -= shift
		}
	}
	slices.SortFunc(got, func(a, b span) int { return strings.Compare(a.ID, b.ID) })
	if diff := cmp.Diff(wantSpans, got); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
}

func TestAnswers(t *testing.T) {
	var taken atomic.Int64
	mux := http.NewServeMux()
	take := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPost && json.Valid(body) {
			taken.Add(1)
		}
		w.WriteHeader(http.StatusAccepted)
	}
	mux.HandleFunc("/ok", take)
	mux.HandleFunc("/307", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ok", http.StatusTemporaryRedirect) })
	mux.HandleFunc("/302", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ok", http.StatusFound) })
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/loop", http.StatusPermanentRedirect)
	})
	mux.HandleFunc("/500", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", 500) })
	mux.HandleFunc("/auth", func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != "s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		take(w, r)
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, maxAnswer)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/hang", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server would not see the client leave
		<-r.Context().Done()
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	withUser := strings.Replace(server.URL, "http://", "http://me:s3cret@", 1)
	for _, tt := range []struct {
		url   string
		taken int64
		lost  int
	}{
		{server.URL + "/ok", 1, 0},
		{server.URL + "/307", 1, 0},
		{server.URL + "/302", 0, 1},
		{server.URL + "/loop", 0, 1},
		{server.URL + "/500", 0, 1},
		{server.URL + "/auth", 0, 1},
		{withUser + "/auth", 1, 0},
		{server.URL + "/endless", 0, 0},
		{server.URL + "/hang", 0, 1},
	} {
		taken.Store(0)
		o := Options{URL: tt.url}
		if strings.HasSuffix(tt.url, "/hang") {
			o.Timeout = 50 * time.Millisecond
		}
		if d := export(t, o, failedHop(started)); d["export_failed"] != tt.lost {
			t.Errorf("%s: dropped %v, want %d", tt.url, d, tt.lost)
		}
		if taken.Load() != tt.taken {
			t.Errorf("%s: taken %d times, want %d", tt.url, taken.Load(), tt.taken)
		}
	}
}

// One connection serves one batch after the other.
func TestConnectionIsReused(t *testing.T) {
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, strings.Repeat("thanks ", 1000))
	}))
	server.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		connections.Add(1)
		return ctx
	}
	server.Start()
	defer server.Close()
	e, err := New(Options{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	s := spans.New([]spans.Exporter{e}, spans.Options{})
	for range 5 {
		s.Observe(failedHop(started))
		s.Tick(time.Now())
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections for five batches", n)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"http://127.0.0.1:9411", ""},
		{"https://me:s3cret@zipkin.example/some/where", ""},
		{"", "not an http or https URL"},
		{"127.0.0.1:9411", "can't be parsed"},
		{"zipkin:9411", "not an http or https URL"},
		{"ftp://me:s3cret@host/", "not an http or https URL"},
		{"http://me:s3cret@ho st/", "can't be parsed"},
	} {
		e, err := New(Options{URL: tt.url})
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.url, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: error %v, want one that says %q", tt.url, err, tt.want)
		case err != nil && strings.Contains(err.Error(), "s3cret"),
			err == nil && strings.Contains(e.Name(), "s3cret"):
			t.Errorf("%s: the password shows", tt.url)
		}
	}
}

// A server that can't be reached is named in the error, its password is not.
func TestErrorsHideThePassword(t *testing.T) {
	server := httptest.NewServer(nil)
	address := server.Listener.Addr().String()
	server.Close()
	e, err := New(Options{URL: "http://me:s3cret@" + address + "?api_key=s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(t.Context())
	var failure error
	s := spans.New([]spans.Exporter{capture{e, &failure}}, spans.Options{})
	s.Observe(failedHop(started))
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(failure, syscall.ECONNREFUSED) || !strings.Contains(failure.Error(), address) {
		t.Fatalf("error %v, want one that names %s", failure, address)
	}
	if strings.Contains(failure.Error(), "s3cret") || strings.Contains(e.Name(), "s3cret") {
		t.Errorf("the password shows: %v", failure)
	}
}

// capture remembers the error of the last Export.
type capture struct {
	*Exporter
	failure *error
}

func (c capture) Export(ctx context.Context, b *spans.Batch) error {
	*c.failure = c.Exporter.Export(ctx, b)
	return *c.failure
}
