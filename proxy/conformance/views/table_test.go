package views_test

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
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/headers"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// row is one way out of a request, and what each view says of it.
type row struct {
	name string
	// kind is the failure that the proxy made of it, if it made one.
	kind fault.Kind
	// endpoint is what is behind the proxy; nil answers 200.
	endpoint func(t testing.TB) string
	change   func(*proxytest.Settings)
	// drive makes it happen; it returns the response, nil where there is none.
	drive func(l *proxytest.Proxy) *http.Response
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

// asked is the hop of a row whose request names its endpoint, such as a forward proxy's:
// nothing else is known of it.
const asked = "the address that was asked for"

// try is an attempt, as the views show it.
type try struct {
	status int
	flags  string
	failed string // error.type of the CLIENT span, which is an error then
	secure bool   // the connection is encrypted
}

// uncovered are the kinds that no row can produce, and why.
var uncovered = map[fault.Kind]string{
	fault.NoCluster:       "it takes a source of endpoints: see TestLiveUnavailable",
	fault.NoHealthy:       "it takes a source of endpoints: see TestLiveUnavailable",
	fault.Undiscovered:    "it takes a source that has never answered: see TestLiveUnavailable",
	fault.ClientAged:      "it takes a connection that is old: see TestConnectionAgeGrace",
	fault.Overload:        "it takes a budget that is full: see TestRequestWhereMemoryIsFull of package listener, and TestMemoryUnderAttack",
	fault.AdmissionDenied: "it takes a route that has failed before, and chance: see TestAdmissionControl",
	fault.Draining:        "the admin API ends with the proxy: see TestEndWhileConnecting",
	fault.Internal:        "it takes a defect",
	fault.Exhausted:       "it takes a process without descriptors: TestShortOfDescriptorsBlamesNobody",
	fault.PortsExhausted:  "it takes a machine without free ports: TestOwnShortage",
	fault.Panic:           "it takes a filter that panics: TestPanicCostsOneRequest",
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
		endpoint = proxytest.Answering(t, func(string, []string) string { return proxytest.OKResponse })
	}
	var change []func(*proxytest.Settings)
	if r.change != nil {
		change = append(change, r.change)
	}
	l := proxytest.StartWithViews(t, endpoint, change...)
	response := r.drive(l)
	v := l.End(r.before + 1)
	if t.Failed() {
		return
	}
	if !r.nowhere && r.route == "" {
		r.route, r.cluster = "default", "web"
	}
	r.method = cmp.Or(r.method, "GET")
	this := r.line(v)
	if r.hop == asked {
		r.hop = this.Text("upstream")
	}
	r.checkLine(t, this)
	r.checkSpans(t, v, this)
	r.checkMetrics(t, v, this)
	r.checkResponse(t, response)
	r.checkRecord(t, l, this)
	if line := fmt.Sprint(this); t.Failed() {
		t.Log(line)
	}
}

// line is the row's own line.
func (r *row) line(v *proxytest.Views) proxytest.Line {
	if len(v.Lines) == 1 {
		return v.Lines[0]
	}
	for _, l := range v.Lines {
		if strings.HasPrefix(l.Text("path"), "/row") {
			return l
		}
	}
	v.T.Fatalf("no line of /row: %v", v.Lines)
	return nil
}

func (r *row) checkLine(t *testing.T, l proxytest.Line) {
	checkKeys(t, "log", l, proxytest.LineKeys)
	proxytest.Same(t, "log: tls is there", l["tls"] != nil, r.secure)
	if r.secure {
		checkKeys(t, "log: tls", l.Of("tls"), proxytest.TLSKeys)
	}
	proxytest.Same(t, "log: service", l.Text("service"), "front")
	proxytest.Same(t, "log: status", int(l.Number("status")), r.status)
	proxytest.Same(t, "log: flags", l.Text("flags"), r.flags)
	proxytest.Same(t, "log: failed_hop", l.Text("failed_hop"), r.hop)
	proxytest.Reason(t, "log: failure_reason", l.Text("failure_reason"), r.reason)
	route := r.route
	if route == hop.UnnamedRoute {
		route = ""
	}
	proxytest.Same(t, "log: route", l.Text("route"), route)
	proxytest.Same(t, "log: cluster", l.Text("cluster"), r.cluster)
	if r.protocol != "" {
		proxytest.Same(t, "log: protocol", l.Text("protocol"), r.protocol)
	}
	r.checkCertificate(t, l.Text("failure_reason"))
	if len(l.Text("trace_id")) != 32 || len(l.Text("span_id")) != 16 || l.Text("request_id") == "" {
		t.Errorf("log: trace %q, span %q, request %q", l["trace_id"], l["span_id"], l["request_id"])
	}
	attempts, _ := l["attempts"].([]any)
	proxytest.Same(t, "log: attempts", len(attempts), len(r.tries))
	for i := range min(len(attempts), len(r.tries)) {
		a := proxytest.Line(attempts[i].(map[string]any))
		checkKeys(t, fmt.Sprintf("log: attempt %d", i), a, proxytest.AttemptKeys)
		proxytest.Same(t, fmt.Sprintf("log: attempt %d: tls is there", i), a["tls"] != nil, r.tries[i].secure)
		proxytest.Same(t, fmt.Sprintf("log: attempt %d: status", i), int(a.Number("status")), r.tries[i].status)
		proxytest.Same(t, fmt.Sprintf("log: attempt %d: flags", i), a.Text("flags"), r.tries[i].flags)
		if r.tries[i].flags != "" && a.Text("reason") == "" {
			t.Errorf("log: attempt %d has no reason", i)
		}
	}
	if len(r.tries) > 0 {
		last := proxytest.Line(attempts[len(attempts)-1].(map[string]any))
		proxytest.Same(t, "log: upstream", l.Text("upstream"), last.Text("endpoint"))
	}
}

func checkKeys(t *testing.T, what string, l proxytest.Line, want []string) {
	t.Helper()
	if got := slices.Sorted(maps.Keys(l.Common())); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
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
func (r *row) checkRecord(t *testing.T, l *proxytest.Proxy, this proxytest.Line) {
	if r.kind == fault.None || r.origin == "endpoint" { // whose failure came before it
		return
	}
	var trace hop.TraceID
	if _, err := hex.Decode(trace[:], []byte(this.Text("trace_id"))); err != nil {
		t.Fatal(err)
	}
	for _, h := range l.Store().Trace(trace) {
		if h.ExportedSpan().String() == this.Text("span_id") {
			proxytest.Same(t, "store: RFC 9209 error", h.ProxyError, r.kind.ProxyError())
			proxytest.Same(t, "store: details", h.Details, r.kind.Details())
			proxytest.Same(t, "store: failed kind", h.Failure.Kind, r.kind.String())
			proxytest.Same(t, "store: a part is at fault", h.Failure.Part != hop.PartUnknown, r.kind.Side() != fault.Downstream)
			proxytest.Same(t, "store: is a connection", h.Kind == hop.KindConnection, r.connection())
			return
		}
	}
	t.Errorf("the store has no hop %s", this.Text("span_id"))
}

// connection reports whether the row is one of a connection that failed as such.
func (r *row) connection() bool { return r.nowhere && r.untimed }

func (r *row) checkSpans(t *testing.T, v *proxytest.Views, this proxytest.Line) {
	var server proxytest.Span
	kind, failed := tracepb.Span_SPAN_KIND_SERVER, r.errorType(this)
	if this.Text("direction") == "outbound" {
		kind = tracepb.Span_SPAN_KIND_CLIENT
	}
	for _, s := range v.Kind(kind) {
		if fmt.Sprintf("%x", s.SpanId) == this.Text("span_id") {
			server = s
		}
	}
	if server.Span == nil {
		t.Fatalf("no %s span %s", kind, this.Text("span_id"))
	}
	name := r.method
	if name == "_OTHER" {
		name = "HTTP"
	}
	proxytest.Same(t, "span: name", server.Name, strings.TrimSpace(name+" "+r.template()))
	proxytest.Same(t, "span: http.route", server.Attributes["http.route"], r.template())
	proxytest.Same(t, "span: trace", fmt.Sprintf("%x", server.TraceId), this.Text("trace_id"))
	proxytest.Same(t, "span: parent", fmt.Sprintf("%x", server.ParentSpanId), this.Text("parent_id"))
	proxytest.Same(t, "span: service", server.Service, "front")
	proxytest.Same(t, "span: is an error", server.Failed(), failed != "")
	a := server.Attributes
	proxytest.Same(t, "span: method", a["http.request.method"], r.method)
	proxytest.Same(t, "span: status", a["http.response.status_code"], proxytest.AttributeOf(r.status))
	proxytest.Same(t, "span: error.type", a["error.type"], failed)
	proxytest.Same(t, "span: flags", a["hopscope.flags"], r.flags)
	proxytest.Same(t, "span: failed_hop", a["hopscope.failed_hop"], r.hop)
	proxytest.Same(t, "span: failure_origin", a["hopscope.failure_origin"], r.origin)
	proxytest.Reason(t, "span: failure_reason", a["hopscope.failure_reason"], r.reason)
	proxytest.Same(t, "span: sampled_by", a["hopscope.sampled_by"], "ratio")
	r.checkClientSpans(t, v, server)
}

func (r *row) checkClientSpans(t *testing.T, v *proxytest.Views, server proxytest.Span) {
	attempts := v.Attempts(server)
	proxytest.Same(t, "spans: of attempts", len(attempts), len(r.tries))
	if len(attempts) == 1 && len(r.tries) == 1 { // the hop is the same span
		a, try := server.Attributes, r.tries[0]
		proxytest.Same(t, "span: status of the attempt", a["hopscope.upstream.status_code"], proxytest.Differs(strconv.Itoa(try.status), strconv.Itoa(r.status)))
		proxytest.Same(t, "span: flags of the attempt", a["hopscope.upstream.flags"], proxytest.Differs(try.flags, r.flags))
		return
	}
	for i := range min(len(attempts), len(r.tries)) {
		s, try, what := attempts[i], r.tries[i], fmt.Sprintf("span of attempt %d: ", i)
		proxytest.Same(t, what+"parent", fmt.Sprintf("%x", s.ParentSpanId), fmt.Sprintf("%x", server.SpanId))
		proxytest.Same(t, what+"name", s.Name, server.Name)
		proxytest.Same(t, what+"is an error", s.Failed(), try.failed != "")
		proxytest.Same(t, what+"error.type", s.Attributes["error.type"], try.failed)
		proxytest.Same(t, what+"status", s.Attributes["http.response.status_code"], proxytest.AttributeOf(try.status))
		proxytest.Same(t, what+"flags", s.Attributes["hopscope.flags"], try.flags)
		proxytest.Same(t, what+"resend_count", s.Attributes["http.request.resend_count"], proxytest.AttributeOf(i))
		if s.StartTimeUnixNano < server.StartTimeUnixNano || s.EndTimeUnixNano > server.EndTimeUnixNano || s.StartTimeUnixNano > s.EndTimeUnixNano {
			t.Errorf("%sfrom %d to %d, not within %d to %d", what, s.StartTimeUnixNano, s.EndTimeUnixNano, server.StartTimeUnixNano, server.EndTimeUnixNano)
		}
	}
}

func (r *row) checkMetrics(t *testing.T, v *proxytest.Views, this proxytest.Line) {
	m := v.Metrics
	first, _, _ := strings.Cut(r.flags, ",")
	of := []string{"service", "front", "direction", this.Text("direction"), "route", r.template(), "cluster", r.cluster}
	hops := 1.0
	if r.status == 200 && r.flags == "" {
		hops += float64(r.before)
	}
	proxytest.Same(t, "metrics: hops of this code and flag", m.Sum("hopscope_requests_total",
		append(of, "method", r.method, "code", strconv.Itoa(r.status), "flag", first)...), hops)
	timed := 1.0
	if r.untimed {
		timed = 0
	}
	family, elsewhere := "http_server_request_duration_seconds", "http_client_request_duration_seconds"
	if this.Text("direction") == "outbound" {
		family, elsewhere = elsewhere, family
	}
	proxytest.Same(t, "metrics: durations of hops", m.Sum(family), timed+float64(r.before))
	proxytest.Same(t, "metrics: durations of hops in the other direction", m.Sum(elsewhere), 0)
	proxytest.Same(t, "metrics: durations of attempts", m.Sum("hopscope_attempt_duration_seconds"), timed*float64(len(r.tries))+float64(r.before))
	if timed > 0 {
		r.checkErrorTypes(t, m, family, this)
	}
	proxytest.Same(t, "metrics: attempts", m.Sum("hopscope_attempts_total"), float64(len(r.tries)+r.before))
	failures := 0.0
	if r.origin != "" {
		failures = 1
		kind := r.kind.String()
		if r.origin == "endpoint" {
			kind = diagnose.ErrorResponse
		}
		if r.origin == "relayed" { // it is another proxy's word
			kind = this.Of("failure").Text("kind")
		}
		proxytest.Same(t, "metrics: failures of this origin", m.Sum("hopscope_failures_total",
			append(of, "origin", r.origin, "failed_hop", r.hop, "kind", kind, "part", this.Of("failure").Text("part"))...), 1)
	}
	proxytest.Same(t, "metrics: failures", m.Sum("hopscope_failures_total"), failures)
	connections := 0.0
	if r.connection() {
		connections = 1
		proxytest.Same(t, "metrics: connections that failed for this reason", m.Sum("hopscope_connection_failures_total",
			"service", "front", "listener", "ingress", "reason", r.kind.Details()), 1)
	}
	proxytest.Same(t, "metrics: connections that failed", m.Sum("hopscope_connection_failures_total"), connections)
	for _, gauge := range []string{"hopscope_downstream_requests_active", "hopscope_upstream_requests_pending"} {
		proxytest.Same(t, "metrics: "+gauge, m.Sum(gauge), 0)
	}
	proxytest.Same(t, "metrics: telemetry dropped", m.Sum("hopscope_telemetry_dropped_total"), 0)
}

// template is the route as spans and metrics have it.
func (r *row) template() string {
	if r.route == hop.UnnamedRoute {
		return ""
	}
	return r.route
}

// checkErrorTypes looks at error_type of the hop, and of each attempt.
func (r *row) checkErrorTypes(t *testing.T, m proxytest.Metrics, family string, this proxytest.Line) {
	count := 1.0
	if r.errorType(this) == "" && r.status == 200 {
		count += float64(r.before)
	}
	proxytest.Same(t, "metrics: durations of hops by error_type", m.Sum(family,
		"error_type", r.errorType(this), "http_response_status_code", proxytest.AttributeOf(r.status)), count)
	tries := map[string]float64{}
	for _, try := range r.tries {
		tries[try.failed]++
	}
	for failed, n := range tries {
		if failed == "" {
			n += float64(r.before)
		}
		proxytest.Same(t, "metrics: durations of attempts by error_type", m.Sum("hopscope_attempt_duration_seconds", "error_type", failed), n)
	}
}

// errorType is the error.type of the hop: to the caller of an outbound one, 4xx is an
// error, too.
func (r *row) errorType(this proxytest.Line) string {
	if this.Text("direction") == "outbound" && r.status >= 400 {
		return cmp.Or(r.failed, r.error, strconv.Itoa(r.status))
	}
	return r.failed
}

// checkResponse looks at what the client can tell from its response alone.
func (r *row) checkResponse(t *testing.T, resp *http.Response) {
	if resp == nil {
		if r.status != 0 && !r.unheard {
			t.Error("there is no response")
		}
		return
	}
	proxytest.Same(t, "response: status", resp.StatusCode, r.status)
	list, err := httpsfv.UnmarshalList(resp.Header.Values("Proxy-Status"))
	if err != nil || len(list) == 0 {
		t.Fatalf("response: Proxy-Status %q: %v", resp.Header.Values("Proxy-Status"), err)
	}
	own := list[len(list)-1].(httpsfv.Item)
	proxytest.Same(t, "response: hop", own.Value, any(httpsfv.Token("front")))
	param := func(name string) string {
		p, there := own.Params.Get(name)
		if !there {
			return ""
		}
		return fmt.Sprint(p)
	}
	received, next := "", ""
	if r.began() {
		proxytest.Same(t, "response: parameters", len(own.Params.Names()), 0)
		return
	}
	if r.origin != "" && len(r.tries) > 0 {
		received, next = proxytest.AttributeOf(r.tries[len(r.tries)-1].status), "there"
	}
	proxytest.Same(t, "response: error", param("error"), r.error)
	proxytest.Same(t, "response: received-status", param("received-status"), received)
	proxytest.Same(t, "response: next-hop", param("next-hop") != "", next != "")
	proxytest.Same(t, "response: failed hop", param(headers.FailedHop), r.hop)
	if r.origin != "relayed" { // else it is another proxy's word
		kind, caller := r.kind.String(), ""
		if r.origin == "endpoint" {
			kind = diagnose.ErrorResponse
		}
		if r.origin == "proxy" && r.hop != "front" {
			caller = "front"
		}
		proxytest.Same(t, "response: failed kind", param(headers.FailedKind), kind)
		proxytest.Same(t, "response: failed caller", param(headers.FailedCaller), caller)
		proxytest.Same(t, "response: a part failed", param(headers.FailedPart) != "", r.origin == "proxy" || r.origin == "endpoint")
	}
	proxytest.Reason(t, "response: details", param("details"), r.reason)
	if r.error != "" && !strings.HasPrefix(param("details"), r.flags+" ") {
		t.Errorf("response: details %q do not begin with %s", param("details"), r.flags)
	}
	hop, told := headers.Failure(proxytest.ProxyStatus(t, resp))
	proxytest.Same(t, "response alone: failed hop", hop.Hop, r.hop)
	proxytest.Same(t, "response alone: told", told, r.hop != "")
	proxytest.Reason(t, "response alone: reason", hop.Reason, r.reason)
}

// began reports whether the response had begun, in good order, when it failed.
func (r *row) began() bool { return r.flags != "" && r.status < 400 }
