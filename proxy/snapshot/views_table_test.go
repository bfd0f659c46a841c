package snapshot_test

import (
	"cmp"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dunglas/httpsfv"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/telemetry/headers"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// row is one way out of a request, and what each view says of it.
type row struct {
	name string
	// kind is the failure that the proxy made of it, if it made one.
	kind fault.Kind
	// endpoint is what is behind the proxy; nil answers 200.
	endpoint func(t *testing.T) string
	change   func(*settings)
	// drive makes it happen; it returns the response, nil where there is none.
	drive func(l *rig) *http.Response
	// before is how many hops there are besides the one of this row, whose
	// path is /row where it has one.
	before int

	status int
	flags  string
	error  string // RFC 9209 error type, where this proxy made the failure
	failed string // error.type of the SERVER span, which is an error then

	origin, hop, reason string // who made the failure, and a part of why
	tries               []try
	route, cluster      string // "default" and "web" where both are empty
	nowhere             bool   // no route was chosen
	untimed             bool   // it says nothing of how long requests take
	unheard             bool   // nobody was there for the response
	method              string // GET where it is empty
	secure              bool   // the client's connection is encrypted
	protocol            string // of the client's side, where it is looked at
	// certificate is the one that the reason has to tell of, nil for none.
	certificate func() *x509.Certificate
}

// try is an attempt, as the views show it.
type try struct {
	status int
	flags  string
	failed string // error.type of the CLIENT span, which is an error then
	secure bool   // the connection is encrypted
}

// uncovered are the kinds that no row can produce, and why.
var uncovered = map[fault.Kind]string{
	fault.NoCluster:      "it takes a source of endpoints: see TestLiveUnavailable",
	fault.NoHealthy:      "it takes a source of endpoints: see TestLiveUnavailable",
	fault.Undiscovered:   "it takes a source that has never answered: see TestLiveUnavailable",
	fault.ClientAged:     "it takes a connection that is old: see TestConnectionAgeGrace",
	fault.Overload:       "it takes a budget that is full: see TestRequestWhereMemoryIsFull of package listener, and TestMemoryUnderAttack",
	fault.Draining:       "the admin API ends with the proxy: see TestEndWhileConnecting",
	fault.Internal:       "it takes a defect",
	fault.Exhausted:      "it takes a process without descriptors: TestShortOfDescriptorsBlamesNobody",
	fault.PortsExhausted: "it takes a machine without free ports: TestOwnShortage",
	fault.Panic:          "it takes a filter that panics: TestPanicCostsOneRequest",
}

// Every way out of a request is one Hop, and every view shows it.
func TestEveryWayOut(t *testing.T) {
	rows := slices.Concat(answeredRows(), clientRows(), routingRows(), connectRows(), responseRows(), tunnelRows(),
		clientTLSRows(), endpointTLSRows(), clientHTTP2Rows(), endpointHTTP2Rows())
	produced := map[fault.Kind]bool{fault.None: true}
	for _, r := range rows {
		produced[r.kind] = true
	}
	for _, k := range fault.All() {
		if _, listed := uncovered[k]; produced[k] == listed {
			t.Errorf("kind %s: a row produces it: %t; listed as one that none can: %t", k, produced[k], listed)
		}
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			r.run(t)
		})
	}
}

func (r *row) run(t *testing.T) {
	endpoint := ""
	if r.endpoint != nil {
		endpoint = r.endpoint(t)
	} else {
		endpoint = answering(t, func(string, []string) string { return okay })
	}
	var change []func(*settings)
	if r.change != nil {
		change = append(change, r.change)
	}
	l := startLab(t, endpoint, change...)
	response := r.drive(l)
	v := l.end(r.before + 1)
	if t.Failed() {
		return
	}
	if !r.nowhere && r.route == "" {
		r.route, r.cluster = "default", "web"
	}
	r.method = cmp.Or(r.method, "GET")
	this := r.line(v)
	r.checkLine(t, this)
	r.checkSpans(t, v, this)
	r.checkMetrics(t, v)
	r.checkResponse(t, response)
	r.checkRecord(t, l, this)
	if line := fmt.Sprint(this); t.Failed() {
		t.Log(line)
	}
}

// line is the row's own line.
func (r *row) line(v *views) line {
	if len(v.lines) == 1 {
		return v.lines[0]
	}
	for _, l := range v.lines {
		if strings.HasPrefix(l.text("path"), "/row") {
			return l
		}
	}
	v.t.Fatalf("no line of /row: %v", v.lines)
	return nil
}

// keys are those of every line, no more and no less, attemptKeys of each attempt,
// and tlsKeys of either where there is TLS.
var (
	keys = strings.Fields(`time service direction client host method path route cluster upstream protocol status
	grpc_status grpc_status_name grpc_message flags failed_hop failure_reason bytes_in bytes_out duration_ms upstream_ms
	attempts trace_id span_id parent_id sampled request_id user_agent tls`)
	attemptKeys = strings.Fields(`endpoint url status grpc_status flags reason bytes_sent bytes_received duration_ms connect_ms
	reused tls`)
	tlsKeys = strings.Fields(`version cipher sni peer resumed handshake_ms`)
)

func (r *row) checkLine(t *testing.T, l line) {
	checkKeys(t, "log", l, keys)
	same(t, "log: tls is there", l["tls"] != nil, r.secure)
	if r.secure {
		checkKeys(t, "log: tls", l.of("tls"), tlsKeys)
	}
	same(t, "log: service", l.text("service"), "front")
	same(t, "log: status", int(l.number("status")), r.status)
	same(t, "log: flags", l.text("flags"), r.flags)
	same(t, "log: failed_hop", l.text("failed_hop"), r.hop)
	reason(t, "log: failure_reason", l.text("failure_reason"), r.reason)
	same(t, "log: route", l.text("route"), r.route)
	same(t, "log: cluster", l.text("cluster"), r.cluster)
	if r.protocol != "" {
		same(t, "log: protocol", l.text("protocol"), r.protocol)
	}
	r.checkCertificate(t, l.text("failure_reason"))
	if len(l.text("trace_id")) != 32 || len(l.text("span_id")) != 16 || l.text("request_id") == "" {
		t.Errorf("log: trace %q, span %q, request %q", l["trace_id"], l["span_id"], l["request_id"])
	}
	attempts, _ := l["attempts"].([]any)
	same(t, "log: attempts", len(attempts), len(r.tries))
	for i := range min(len(attempts), len(r.tries)) {
		a := line(attempts[i].(map[string]any))
		checkKeys(t, fmt.Sprintf("log: attempt %d", i), a, attemptKeys)
		same(t, fmt.Sprintf("log: attempt %d: tls is there", i), a["tls"] != nil, r.tries[i].secure)
		same(t, fmt.Sprintf("log: attempt %d: status", i), int(a.number("status")), r.tries[i].status)
		same(t, fmt.Sprintf("log: attempt %d: flags", i), a.text("flags"), r.tries[i].flags)
		if r.tries[i].flags != "" && a.text("reason") == "" {
			t.Errorf("log: attempt %d has no reason", i)
		}
	}
	if len(r.tries) > 0 {
		last := line(attempts[len(attempts)-1].(map[string]any))
		same(t, "log: upstream", l.text("upstream"), last.text("endpoint"))
	}
}

func checkKeys(t *testing.T, what string, l line, want []string) {
	t.Helper()
	if got := slices.Sorted(maps.Keys(l)); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("%s: keys %v, want %v", what, got, want)
	}
}

// checkCertificate checks that a reason tells which certificate it is about, and
// from when to when that is valid.
func (r *row) checkCertificate(t *testing.T, why string) {
	if r.certificate == nil {
		return
	}
	c := r.certificate()
	const day = "2006-01-02 15:04:05 UTC"
	for _, part := range []string{c.Subject.String(), c.Issuer.String(), c.NotBefore.UTC().Format(day), c.NotAfter.UTC().Format(day)} {
		if !strings.Contains(why, part) {
			t.Errorf("failure_reason %q does not tell %q", why, part)
		}
	}
}

// checkRecord looks at what no view but the store shows of every hop: the RFC 9209
// error, also where nobody is left to be told, and the details.
func (r *row) checkRecord(t *testing.T, l *rig, this line) {
	if r.kind == fault.None || r.origin == "endpoint" { // whose failure came before it
		return
	}
	var trace hop.TraceID
	if _, err := hex.Decode(trace[:], []byte(this.text("trace_id"))); err != nil {
		t.Fatal(err)
	}
	for _, h := range l.proxy.Store().Trace(trace) {
		if h.Span.String() == this.text("span_id") {
			same(t, "store: RFC 9209 error", h.ProxyError, r.kind.ProxyError())
			same(t, "store: details", h.Details, r.kind.Details())
			same(t, "store: is a connection", h.Kind == hop.KindConnection, r.connection())
			return
		}
	}
	t.Errorf("the store has no hop %s", this.text("span_id"))
}

// connection reports whether the row is one of a connection that failed as such.
func (r *row) connection() bool { return r.nowhere && r.untimed }

func (r *row) checkSpans(t *testing.T, v *views, this line) {
	var server span
	for _, s := range v.kind(tracepb.Span_SPAN_KIND_SERVER) {
		if fmt.Sprintf("%x", s.SpanId) == this.text("span_id") {
			server = s
		}
	}
	if server.Span == nil {
		t.Fatalf("no SERVER span %s", this.text("span_id"))
	}
	name := r.method
	if name == "_OTHER" {
		name = "HTTP"
	}
	same(t, "span: name", server.Name, strings.TrimSpace(name+" "+r.route))
	same(t, "span: trace", fmt.Sprintf("%x", server.TraceId), this.text("trace_id"))
	same(t, "span: parent", fmt.Sprintf("%x", server.ParentSpanId), this.text("parent_id"))
	same(t, "span: service", server.service, "front")
	same(t, "span: is an error", server.failed(), r.failed != "")
	a := server.attributes
	same(t, "span: method", a["http.request.method"], r.method)
	same(t, "span: status", a["http.response.status_code"], number(r.status))
	same(t, "span: error.type", a["error.type"], r.failed)
	same(t, "span: flags", a["hopscope.flags"], r.flags)
	same(t, "span: failed_hop", a["hopscope.failed_hop"], r.hop)
	same(t, "span: failure_origin", a["hopscope.failure_origin"], r.origin)
	reason(t, "span: failure_reason", a["hopscope.failure_reason"], r.reason)
	same(t, "span: sampled_by", a["hopscope.sampled_by"], "ratio")
	r.checkClientSpans(t, v, server)
}

func (r *row) checkClientSpans(t *testing.T, v *views, server span) {
	var clients []span
	for _, s := range v.kind(tracepb.Span_SPAN_KIND_CLIENT) {
		if slices.Equal(s.TraceId, server.TraceId) {
			clients = append(clients, s)
		}
	}
	same(t, "spans: CLIENT spans", len(clients), len(r.tries))
	for i := range min(len(clients), len(r.tries)) {
		s, try, what := clients[i], r.tries[i], fmt.Sprintf("span of attempt %d: ", i)
		same(t, what+"parent", fmt.Sprintf("%x", s.ParentSpanId), fmt.Sprintf("%x", server.SpanId))
		same(t, what+"name", s.Name, server.Name)
		same(t, what+"is an error", s.failed(), try.failed != "")
		same(t, what+"error.type", s.attributes["error.type"], try.failed)
		same(t, what+"status", s.attributes["http.response.status_code"], number(try.status))
		same(t, what+"flags", s.attributes["hopscope.flags"], try.flags)
		same(t, what+"resend_count", s.attributes["http.request.resend_count"], number(i))
		if s.StartTimeUnixNano < server.StartTimeUnixNano || s.EndTimeUnixNano > server.EndTimeUnixNano || s.StartTimeUnixNano > s.EndTimeUnixNano {
			t.Errorf("%sfrom %d to %d, not within %d to %d", what, s.StartTimeUnixNano, s.EndTimeUnixNano, server.StartTimeUnixNano, server.EndTimeUnixNano)
		}
	}
}

func (r *row) checkMetrics(t *testing.T, v *views) {
	m := v.metrics
	first, _, _ := strings.Cut(r.flags, ",")
	of := []string{"service", "front", "route", r.route, "cluster", r.cluster}
	hops := 1.0
	if r.status == 200 && r.flags == "" {
		hops += float64(r.before)
	}
	same(t, "metrics: hops of this code and flag", m.sum("hopscope_requests_total",
		append(of, "method", r.method, "code", strconv.Itoa(r.status), "flag", first)...), hops)
	timed := 1.0
	if r.untimed {
		timed = 0
	}
	same(t, "metrics: durations of hops", m.sum("http_server_request_duration_seconds"), timed+float64(r.before))
	same(t, "metrics: durations of attempts", m.sum("http_client_request_duration_seconds"), timed*float64(len(r.tries))+float64(r.before))
	same(t, "metrics: attempts", m.sum("hopscope_attempts_total"), float64(len(r.tries)+r.before))
	failures := 0.0
	if r.origin != "" {
		failures = 1
		same(t, "metrics: failures of this origin", m.sum("hopscope_failures_total", append(of, "origin", r.origin)...), 1)
	}
	same(t, "metrics: failures", m.sum("hopscope_failures_total"), failures)
	connections := 0.0
	if r.connection() {
		connections = 1
		same(t, "metrics: connections that failed for this reason", m.sum("hopscope_connection_failures_total",
			"service", "front", "listener", "ingress", "reason", r.kind.Details()), 1)
	}
	same(t, "metrics: connections that failed", m.sum("hopscope_connection_failures_total"), connections)
	for _, gauge := range []string{"hopscope_downstream_requests_active", "hopscope_upstream_requests_pending"} {
		same(t, "metrics: "+gauge, m.sum(gauge), 0)
	}
	same(t, "metrics: telemetry dropped", m.sum("hopscope_telemetry_dropped_total"), 0)
}

// checkResponse looks at what the client can tell from its response alone.
func (r *row) checkResponse(t *testing.T, resp *http.Response) {
	if resp == nil {
		if r.status != 0 && !r.unheard {
			t.Error("there is no response")
		}
		return
	}
	same(t, "response: status", resp.StatusCode, r.status)
	list, err := httpsfv.UnmarshalList(resp.Header.Values("Proxy-Status"))
	if err != nil || len(list) == 0 {
		t.Fatalf("response: Proxy-Status %q: %v", resp.Header.Values("Proxy-Status"), err)
	}
	own := list[len(list)-1].(httpsfv.Item)
	same(t, "response: hop", own.Value, any(httpsfv.Token("front")))
	param := func(name string) string {
		p, there := own.Params.Get(name)
		if !there {
			return ""
		}
		return fmt.Sprint(p)
	}
	received, next := "", ""
	if r.began() {
		same(t, "response: parameters", len(own.Params.Names()), 0)
		return
	}
	if r.origin != "" && len(r.tries) > 0 {
		received, next = number(r.tries[len(r.tries)-1].status), "there"
	}
	same(t, "response: error", param("error"), r.error)
	same(t, "response: received-status", param("received-status"), received)
	same(t, "response: next-hop", param("next-hop") != "", next != "")
	same(t, "response: failed hop", param(headers.FailedHop), r.hop)
	reason(t, "response: details", param("details"), r.reason)
	if r.error != "" && !strings.HasPrefix(param("details"), r.flags+" ") {
		t.Errorf("response: details %q do not begin with %s", param("details"), r.flags)
	}
	hop, why, told := headers.Failure(members(t, resp))
	same(t, "response alone: failed hop", hop, r.hop)
	same(t, "response alone: told", told, r.hop != "")
	reason(t, "response alone: reason", why, r.reason)
}

// began reports whether the response had begun, in good order, when it failed.
func (r *row) began() bool { return r.flags != "" && r.status < 400 }

func same[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// reason checks that a sentence has a part, and that there is none where there
// should not be one.
func reason(t testing.TB, what, got, part string) {
	t.Helper()
	if (part == "") != (got == "") || !strings.Contains(got, part) {
		t.Errorf("%s: %q, want one with %q", what, got, part)
	}
}

// number is n as an attribute that is absent where n is 0.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
