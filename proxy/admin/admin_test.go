package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/metrics"
	"github.com/hopscope/hopscope/telemetry/store"
)

// The trace that every test's store holds: web calls payments, which is refused
// by its bank.
const (
	failedTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	slowTrace   = "aaaabbbbccccddddeeeeffff00001111"
)

// attack is what an attacker would put wherever he can.
const attack = `"><script>alert(1)</script>`

func trace(id string) hop.TraceID {
	t, ok := parseTrace(id)
	if !ok {
		panic(id)
	}
	return t
}

// failingHops are the hops of failedTrace, as two sidecars record them.
func failingHops(start time.Time) []*hop.Hop {
	ms := time.Millisecond
	web := &hop.Hop{
		Labels: &hop.Labels{Service: "web", Listener: "inbound", Route: "default", Cluster: "web", Slow: time.Second},
		Trace:  trace(failedTrace), Span: hop.SpanID{1}, Start: start, End: 40 * ms, Method: "GET", Status: 502,
		Scheme: "http", Version: hop.HTTP11, Client: "127.0.0.1:5000", Peer: "127.0.0.1:5000",
		Failure: hop.Failure{Origin: hop.OriginEndpoint, Hop: "web", Reason: "web answered 502"},
		Attempts: []hop.Attempt{{Span: hop.SpanID{2}, Endpoint: "127.0.0.1:3000", Cluster: "web", Version: hop.HTTP11,
			Start: ms, Connected: 2 * ms, Sent: 2 * ms, FirstByte: 39 * ms, End: 40 * ms, Status: 502}},
	}
	web.SetString(&web.Path, "/buy/"+attack)
	web.SetString(&web.UserAgent, attack)
	web.SetString(&web.Host, attack)
	web.SetString(&web.Query, "token=secret-value&q="+attack)
	pay := &hop.Hop{
		Labels: &hop.Labels{Service: "payments", Direction: hop.Outbound, Listener: "outbound", Route: "bank", Cluster: "bank"},
		Trace:  trace(failedTrace), Span: hop.SpanID{3}, Parent: hop.SpanID{2}, Start: start.Add(5 * ms), End: 10 * ms,
		Method: "_OTHER", Status: 503, Flags: hop.UpstreamConnectionFailure, ProxyError: "connection_refused", Version: hop.HTTP11,
		Failure: hop.Failure{Origin: hop.OriginProxy, Hop: "payments", Reason: "connection refused by 127.0.0.1:4003"},
		Attempts: []hop.Attempt{
			{Span: hop.SpanID{4}, Endpoint: "127.0.0.1:4002", Cluster: "bank", Start: ms, End: 2 * ms,
				Flags: hop.UpstreamConnectionFailure, ProxyError: "connection_refused", Reason: "connection refused"},
			{Span: hop.SpanID{5}, Endpoint: "127.0.0.1:4003", Cluster: "bank", Start: 3 * ms, End: 9 * ms,
				Flags: hop.UpstreamConnectionFailure, ProxyError: "connection_refused", Reason: "connection refused"},
		},
	}
	pay.SetString(&pay.MethodText, "CHARGE")
	pay.SetString(&pay.Path, "/charge")
	pay.SetString(&pay.Host, "bank")
	return []*hop.Hop{pay, web}
}

func slowHop(start time.Time) *hop.Hop {
	h := &hop.Hop{
		Labels: &hop.Labels{Service: "recommendations", Route: "default", Slow: time.Second},
		Trace:  trace(slowTrace), Span: hop.SpanID{6}, Start: start, End: 1500 * time.Millisecond, Method: "GET", Status: 200,
		Attempts: []hop.Attempt{{Span: hop.SpanID{7}, Endpoint: "127.0.0.1:3001", End: 1499 * time.Millisecond,
			Sent: time.Millisecond, FirstByte: 1498 * time.Millisecond, Status: 200}},
	}
	h.SetString(&h.Path, "/similar")
	return h
}

// fixture is an admin API on a real socket, with what it was told.
type fixture struct {
	*httptest.Server
	t       *testing.T
	level   slog.LevelVar
	drained int
	refused error  // why a configuration is
	why     string // not ready because
}

func newFixture(t *testing.T, change func(*Options)) *fixture {
	t.Helper()
	f := &fixture{t: t}
	s := store.New(1 << 20)
	for _, h := range failingHops(time.Now()) {
		s.Observe(h)
	}
	s.Observe(slowHop(time.Now().Add(-time.Hour)))
	o := Options{
		Service: "web", Version: "1.2.3", Started: time.Now().Add(-time.Minute),
		Log: slog.New(slog.DiscardHandler), Level: &f.level,
		Metrics: metrics.New(metrics.Options{Version: "1.2.3"}).Handler(),
		Trace:   s.Trace, Traces: s.Traces, Store: func() any { return s.Stats() },
		Ready:      func() (bool, string) { return f.why == "", f.why },
		Clusters:   func() any { return []string{"web"} },
		Listeners:  func() any { return map[string]string{"inbound": "127.0.0.1:8080"} },
		ConfigDump: func() ([]byte, error) { return []byte(`{"service":"web"}`), nil },
		Drain:      func() { f.drained++ },
		Reload:     func() (any, error) { return map[string]string{"listeners": "inbound"}, f.refused },
	}
	if change != nil {
		change(&o)
	}
	f.Server = httptest.NewUnstartedServer(nil)
	f.Config = NewServer(New(o), slog.New(slog.DiscardHandler), func() int { return maxConnections }).Server
	f.Start()
	t.Cleanup(f.Close)
	return f
}

// answer is a response, its body read.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request; header lines are "Name: value".
func (f *fixture) do(method, path string, header ...string) answer {
	f.t.Helper()
	req, err := http.NewRequest(method, f.URL+path, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			req.Host = value
		} else {
			req.Header.Set(name, value)
		}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func TestEndpoints(t *testing.T) {
	f := newFixture(t, nil)
	const asJSON = "application/json"
	for _, c := range []struct {
		method, path string
		status       int
		media        string
		want         []string
	}{
		{"GET", "/ready", 200, asJSON, []string{`"state": "ready"`}},
		{"HEAD", "/ready", 200, asJSON, nil},
		{"GET", "/server_info", 200, asJSON, []string{`"version": "1.2.3"`, `"go_version": "go1.`, `"pid": `, `"uptime_seconds": `, `"state": "ready"`}},
		{"GET", "/metrics", 200, "text/plain", []string{`hopscope_build_info{`, `version="1.2.3"`}},
		{"GET", "/clusters", 200, asJSON, []string{`"web"`}},
		{"GET", "/listeners", 200, asJSON, []string{`"inbound": "127.0.0.1:8080"`}},
		{"GET", "/config_dump", 200, asJSON, []string{`"service": "web"`}},
		{"GET", "/store", 200, asJSON, []string{`"hops": 3`}},
		{"GET", "/logging", 200, asJSON, []string{`"level": "info"`}},
		{"GET", "/debug/pprof/", 200, "text/html", []string{"goroutine"}},
		{"GET", "/debug/pprof/goroutine?debug=1", 200, "text/plain", []string{"goroutine profile"}},
		{"GET", "/debug/pprof/nonsense", 404, asJSON, []string{`"error": "there is no profile nonsense"`}},
		{"GET", "/debug/pprof/profile?seconds=1", 200, "application/octet-stream", nil},
		{"GET", "/hops?trace=" + failedTrace, 200, asJSON, []string{`"service": "payments"`, `"service": "web"`, `"endpoint": "127.0.0.1:4003"`}},
		{"GET", "/hops?trace=" + strings.Repeat("1", 32), 200, asJSON, []string{"[]"}},
		{"GET", "/hops?trace=" + strings.Repeat("1", 16), 200, asJSON, []string{"[]"}},
		{"GET", "/hops", 400, asJSON, []string{`"hint": "a trace id has 32 hex digits`}},
		{"GET", "/hops?trace=nonsense", 400, asJSON, []string{`\"nonsense\" is not a trace id`}},
		{"GET", "/hops?trace=" + strings.Repeat("0", 32), 400, asJSON, nil},
		{"GET", "/hops?trace=" + strings.Repeat("g", 32), 400, asJSON, nil},
		{"GET", "/traces/nonsense", 400, asJSON, []string{`\"nonsense\" is not a trace id`}},
		{"GET", "/traces/" + strings.Repeat("1", 32), 404, "text/html", []string{"No hop of this trace is known here"}},
		{"GET", "/traces/" + strings.Repeat("1", 32) + "?format=json", 404, asJSON, []string{`"error": "No hop`}},
		{"GET", "/traces/" + failedTrace + "?format=text", 200, "text/plain", []string{"payments -> bank (127.0.0.1:4003): connection refused (UF)"}},
		{"GET", "/traces?id=" + failedTrace, 303, "text/html", nil},
		{"GET", "/traces?bogus=1", 400, asJSON, []string{`there is no parameter \"bogus\", only culprit, failed, flag, limit`}},
		{"GET", "/traces?failed=perhaps", 400, asJSON, []string{"it is 1 or 0"}},
		{"GET", "/traces?limit=0", 400, asJSON, []string{"a number from 1 to 1000"}},
		{"GET", "/traces?limit=100000", 400, asJSON, nil},
		{"GET", "/traces?since=yesterday", 400, asJSON, []string{"a duration such as 10m"}},
		{"GET", "/nowhere", 404, asJSON, []string{`"error": "there is no /nowhere here"`, `"GET /traces?failed=1"`, `"POST /drain"`}},
		{"GET", "/hops/x", 404, asJSON, nil},
		{"POST", "/ready", 405, asJSON, []string{`use GET`}},
		{"DELETE", "/drain", 405, asJSON, nil},
		{"POST", "/reload", 200, asJSON, []string{`"state": "running"`, `"listeners": "inbound"`}},
		{"GET", "/reload", 405, asJSON, []string{`use POST`}},
		{"PUT", "/logging", 405, asJSON, nil},
		{"POST", "/logging?level=loud", 400, asJSON, []string{`there is no log level \"loud\"`}},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			got := f.do(c.method, c.path)
			if got.status != c.status {
				t.Errorf("status = %d, want %d: %s", got.status, c.status, got.body)
			}
			if media := got.header.Get("Content-Type"); !strings.HasPrefix(media, c.media) {
				t.Errorf("Content-Type = %q, want %q", media, c.media)
			}
			for _, want := range c.want {
				if !strings.Contains(got.body, want) {
					t.Errorf("no %s in\n%s", want, got.body)
				}
			}
			if c.media == asJSON && c.method != "HEAD" && !json.Valid([]byte(got.body)) {
				t.Errorf("no JSON: %s", got.body)
			}
			if got.header.Get("X-Content-Type-Options") != "nosniff" || got.header.Get("Content-Security-Policy") == "" {
				t.Errorf("not guarded: %v", got.header)
			}
			if got.header.Get("Access-Control-Allow-Origin") != "" {
				t.Error("another origin may read this")
			}
			if got.status == 405 && got.header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
}

func TestTraces(t *testing.T) {
	f := newFixture(t, nil)
	hourAgo := url.QueryEscape(time.Now().Add(-30 * time.Minute).Format(time.RFC3339))
	for query, want := range map[string]string{
		"":                                    slowTrace + " " + failedTrace,
		"failed=1":                            failedTrace,
		"slow=1":                              slowTrace,
		"failed=1&slow=1":                     slowTrace + " " + failedTrace,
		"failed=1&slow=1&limit=1":             slowTrace,
		"service=payments":                    failedTrace,
		"route=bank":                          failedTrace,
		"since=10m":                           failedTrace,
		"since=" + hourAgo:                    failedTrace,
		"failed=true&service=recommendations": "",
	} {
		got := f.do("GET", "/traces?"+query)
		var list []struct {
			TraceID string    `json:"trace_id"`
			Start   time.Time `json:"start"`
		}
		if err := json.Unmarshal([]byte(got.body), &list); err != nil || list == nil {
			t.Fatalf("%q: %v in %s", query, err, got.body)
		}
		var ids []string
		for _, s := range list {
			ids = append(ids, s.TraceID)
		}
		if have := strings.Join(ids, " "); have != want {
			t.Errorf("%q: traces %q, want %q", query, have, want)
		}
	}
}

func TestTraceAsJSON(t *testing.T) {
	f := newFixture(t, nil)
	for _, how := range [][2]string{{"?format=json", "Accept: text/html"}, {"", "Accept: application/json"}} {
		got := f.do("GET", "/traces/"+failedTrace+how[0], how[1])
		var doc struct {
			TraceID string  `json:"trace_id"`
			Culprit verdict `json:"culprit"`
			Hops    []*hop.Hop
		}
		if err := json.Unmarshal([]byte(got.body), &doc); err != nil {
			t.Fatal(err)
		}
		if doc.TraceID != failedTrace || len(doc.Hops) != 2 || doc.Culprit.Service != "bank" ||
			doc.Culprit.Caller != "payments" || doc.Culprit.Flags != "UF" || doc.Culprit.Kind != "connect_refused" || doc.Culprit.SpanID != "0500000000000000" {
			t.Errorf("%v: %s", how, got.body)
		}
	}
}

func TestSecretsStayOut(t *testing.T) {
	f := newFixture(t, nil)
	for _, path := range []string{"/", "/traces/" + failedTrace, "/traces/" + failedTrace + "?format=json",
		"/traces/" + failedTrace + "?format=text", "/hops?trace=" + failedTrace, "/traces"} {
		if got := f.do("GET", path); strings.Contains(got.body, "secret-value") {
			t.Errorf("%s shows the token", path)
		}
	}
	if got := f.do("GET", "/debug/pprof/cmdline"); strings.Contains(got.body, "-test.") || got.body == "" {
		t.Errorf("cmdline shows arguments: %q", got.body)
	}
}

func TestReadyAndDrain(t *testing.T) {
	f := newFixture(t, nil)
	if got := f.do("POST", "/drain"); got.status != 202 || f.drained != 1 {
		t.Errorf("POST /drain: %v, drained %d times", got, f.drained)
	}
	if got := f.do("GET", "/drain"); got.status != 405 || got.header.Get("Allow") != "POST" || f.drained != 1 {
		t.Errorf("GET /drain: %v, drained %d times", got, f.drained)
	}
	f.why = "draining"
	if got := f.do("GET", "/ready"); got.status != 503 || !strings.Contains(got.body, "draining") {
		t.Errorf("GET /ready: %v", got)
	}
	if got := f.do("GET", "/server_info"); got.status != 200 || !strings.Contains(got.body, `"reason": "draining"`) {
		t.Errorf("GET /server_info: %v", got)
	}
}

func TestLogging(t *testing.T) {
	f := newFixture(t, nil)
	if got := f.do("POST", "/logging?level=debug"); got.status != 200 || f.level.Level() != slog.LevelDebug {
		t.Errorf("%v, level %v", got, f.level.Level())
	}
	if got := f.do("GET", "/logging?level=error"); !strings.Contains(got.body, `"debug"`) || f.level.Level() != slog.LevelDebug {
		t.Errorf("a GET changed the level: %v", got)
	}
}

func TestWithoutSources(t *testing.T) {
	f := newFixture(t, func(o *Options) { *o = Options{Service: "bare", Started: time.Now()} })
	for path, want := range map[string]int{
		"/": 200, "/ready": 200, "/server_info": 200, "/traces": 404, "/hops?trace=" + failedTrace: 404,
		"/traces/" + failedTrace: 404, "/metrics": 404, "/clusters": 404, "/listeners": 404, "/config_dump": 404,
		"/drain": 404, "/logging": 404, "/store": 404,
	} {
		if got := f.do("GET", path); got.status != want {
			t.Errorf("%s: %d, want %d", path, got.status, want)
		}
	}
	if got := f.do("GET", "/"); !strings.Contains(got.body, "telemetry.store.max_bytes") || strings.Contains(got.body, "/drain") {
		t.Errorf("index of a bare API:\n%s", got.body)
	}
}

func TestSourcesThatFail(t *testing.T) {
	f := newFixture(t, func(o *Options) {
		o.ConfigDump = func() ([]byte, error) { return nil, errors.New("on purpose") }
		o.Clusters = func() any { return func() {} }
	})
	for _, path := range []string{"/config_dump", "/clusters"} {
		if got := f.do("GET", path); got.status != 500 || !json.Valid([]byte(got.body)) {
			t.Errorf("%s: %v", path, got)
		}
	}
}

func TestHostsAndOrigins(t *testing.T) {
	f := newFixture(t, nil)
	_, port, _ := net.SplitHostPort(f.Listener.Addr().String())
	for _, c := range []struct {
		method, path string
		header       []string
		want         int
	}{
		{"GET", "/ready", []string{"Host: localhost:" + port}, 200},
		{"GET", "/ready", []string{"Host: LocalHost.:" + port}, 200},
		{"GET", "/ready", []string{"Host: localhost..:" + port}, 403},
		{"GET", "/ready", []string{"Host: LOCALHOST"}, 200},
		{"GET", "/ready", []string{"Host: 127.0.0.1:" + port}, 200},
		{"GET", "/ready", []string{"Host: [::1]:" + port}, 200},
		{"GET", "/ready", []string{"Host: [::1]"}, 200},
		{"GET", "/ready", []string{"Host: evil.example:" + port}, 403},
		{"GET", "/ready", []string{"Host: localhost.evil.example"}, 403},
		{"GET", "/ready", []string{"Host: 127.0.0.1.evil.example"}, 403},
		{"GET", "/ready", []string{"Host: 192.0.2.1"}, 403},
		{"GET", "/ready", []string{"Origin: http://evil.example"}, 200}, // it can't read the answer
		{"POST", "/drain", []string{"Origin: http://evil.example"}, 403},
		{"POST", "/drain", []string{"Origin: null"}, 403},
		{"POST", "/drain", []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"POST", "/drain", []string{"Sec-Fetch-Site: same-site"}, 403},
		{"POST", "/logging?level=debug", []string{"Origin: http://127.0.0.1:1"}, 403},
		{"POST", "/logging?level=debug", []string{"Origin: " + f.URL}, 200},
		{"POST", "/logging?level=debug", []string{"Sec-Fetch-Site: same-origin"}, 200},
	} {
		if got := f.do(c.method, c.path, c.header...); got.status != c.want {
			t.Errorf("%s %s %q: %d, want %d", c.method, c.path, c.header, got.status, c.want)
		}
	}
	if f.drained != 0 {
		t.Error("drained by another site")
	}
}

// TestHostElsewhere has the local address that a connection over a real
// network has.
func TestHostElsewhere(t *testing.T) {
	for address, want := range map[string]int{"192.0.2.7:9901": 200, "127.0.0.1:9901": 403, "[::1]:9901": 403} {
		local, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "http://admin.example:9901/ready", nil)
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(local)))
		w := httptest.NewRecorder()
		New(Options{}).ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("on %s: %d, want %d", address, w.Code, want)
		}
	}
}

// TestReloadRefused names each mistake.
func TestReloadRefused(t *testing.T) {
	f := newFixture(t, nil)
	f.refused = errors.New("web.yaml:1:1: one\nweb.yaml:2:2: another")
	got := f.do("POST", "/reload")
	var body struct {
		Error, Hint string
		Mistakes    []string
	}
	if err := json.Unmarshal([]byte(got.body), &body); err != nil {
		t.Fatal(err)
	}
	if got.status != 422 || body.Error == "" || body.Hint == "" || !slices.Equal(body.Mistakes, []string{"web.yaml:1:1: one", "web.yaml:2:2: another"}) {
		t.Errorf("status %d, %+v", got.status, body)
	}
	if got := f.do("POST", "/reload", "Origin: http://evil.example"); got.status != 403 {
		t.Errorf("a page of another site gets status %d", got.status)
	}
}
