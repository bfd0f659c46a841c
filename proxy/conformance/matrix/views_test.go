package matrix_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// outcome is how a request ended, as every view is to show it.
type outcome struct {
	method, path string
	// status is the one that the client got; flags are the Hop's.
	status int
	flags  string
	// in and out are the bytes of content; uncounted where it is a matter of
	// luck how far they came.
	in, out int64
	// origin and failure are who made the failure, and the error of RFC 9209.
	origin, failure string
	// answered is the endpoint's status; 0 where there was none.
	answered int
	// tried are the flags of the attempt.
	tried  string
	tunnel bool // it says nothing of how long requests take
}

const uncounted = -1

// expect notes how a request is to have ended.
func (x *cross) expect(o outcome) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if o.method == "" {
		o.method = "GET"
	}
	x.want = append(x.want, o)
}

// fine is expect for a request that was answered in good order.
func (x *cross) fine(method, path string, status int, in, out int64) {
	x.expect(outcome{method: method, path: path, status: status, in: in, out: out, answered: status})
}

// finish closes the proxy and compares what every view shows with what was
// expected.
func (x *cross) finish() {
	x.T.Helper()
	if x.T.Failed() {
		return // what is wrong has been said
	}
	v := x.End(len(x.want))
	lines := map[string][]proxytest.Line{}
	for _, l := range v.Lines {
		path := l.Text("path")
		lines[path] = append(lines[path], l)
	}
	for i := range x.want {
		o := &x.want[i]
		if len(lines[o.path]) == 0 {
			x.T.Errorf("there is no line of %s", o.path)
			continue
		}
		l := lines[o.path][0]
		lines[o.path] = lines[o.path][1:]
		failed := x.T.Failed()
		x.checkLine(o, l)
		x.checkSpans(o, l, v)
		if x.T.Failed() && !failed {
			x.T.Logf("%v", l)
		}
	}
	x.checkMetrics(v)
	if text := x.Said.String(); strings.Contains(text, "level=ERROR") || strings.Contains(text, "panic") {
		x.T.Errorf("the proxy said:\n%s", text)
	}
}

func (x *cross) checkLine(o *outcome, l proxytest.Line) {
	t, at := x.T, o.path+": log: "
	t.Helper()
	if got := slices.Sorted(maps.Keys(l.Common())); !slices.Equal(got, slices.Sorted(slices.Values(proxytest.LineKeys))) {
		t.Errorf("%skeys %v, want %v", at, got, proxytest.LineKeys)
	}
	proxytest.Same(t, at+"method", l.Text("method"), o.method)
	proxytest.Same(t, at+"host", l.Text("host"), webHost)
	proxytest.Same(t, at+"protocol", l.Text("protocol"), x.down.Version())
	proxytest.Same(t, at+"status", int(l.Number("status")), o.status)
	proxytest.Same(t, at+"flags", l.Text("flags"), o.flags)
	proxytest.Same(t, at+"failed_hop", l.Text("failed_hop") != "", o.origin != "")
	proxytest.Same(t, at+"failure_reason", l.Text("failure_reason") != "", o.origin != "")
	counted(t, at+"bytes_in", int64(l.Number("bytes_in")), o.in)
	counted(t, at+"bytes_out", int64(l.Number("bytes_out")), o.out)
	if x.down.TLS {
		encrypted(t, at, l)
		proxytest.Same(t, at+"tls_sni", l.Of("tls").Text("sni"), webHost)
	}
	attempts, _ := l["attempts"].([]any)
	if len(attempts) != 1 {
		t.Errorf("%s%d attempts, want 1", at, len(attempts))
		return
	}
	a := proxytest.Line(attempts[0].(map[string]any))
	at += "attempt: "
	proxytest.Same(t, at+"endpoint", a.Text("endpoint"), l.Text("upstream"))
	proxytest.Same(t, at+"status", int(a.Number("status")), o.answered)
	proxytest.Same(t, at+"flags", a.Text("flags"), o.tried)
	proxytest.Same(t, at+"reason", a.Text("reason") != "", o.tried != "")
	if x.up.TLS {
		encrypted(t, at, a)
		proxytest.Same(t, at+"tls_peer", a.Of("tls").Text("peer") != "", true)
	} else {
		proxytest.Same(t, at+"tls_version", a.Of("tls").Text("version"), "")
	}
}

// encrypted checks what a line or an attempt says of TLS.
func encrypted(t testing.TB, at string, l proxytest.Line) {
	t.Helper()
	proxytest.Same(t, at+"tls_version", l.Of("tls").Text("version"), "1.3")
	proxytest.Same(t, at+"tls_cipher", strings.HasPrefix(l.Of("tls").Text("cipher"), "TLS_"), true)
	proxytest.Same(t, at+"tls_handshake_ms", l.Of("tls").Number("handshake_ms") > 0, true)
}

func counted(t testing.TB, what string, got, want int64) {
	t.Helper()
	if want != uncounted {
		proxytest.Same(t, what, got, want)
	}
}

func (x *cross) checkSpans(o *outcome, l proxytest.Line, v *proxytest.Views) {
	t, at := x.T, o.path+": SERVER span: "
	t.Helper()
	var server proxytest.Span
	for _, s := range v.Kind(tracepb.Span_SPAN_KIND_SERVER) {
		if fmt.Sprintf("%x", s.SpanId) == l.Text("span_id") {
			server = s
		}
	}
	if server.Span == nil {
		t.Errorf("%sthere is none with the id %s", at, l.Text("span_id"))
		return
	}
	failed := o.status >= 500 || o.origin != "" && o.origin != "downstream"
	a := server.Attributes
	proxytest.Same(t, at+"name", server.Name, o.method)
	proxytest.Same(t, at+"trace", fmt.Sprintf("%x", server.TraceId), l.Text("trace_id"))
	proxytest.Same(t, at+"method", a["http.request.method"], o.method)
	proxytest.Same(t, at+"network.protocol.version", a["network.protocol.version"], x.down.Number())
	proxytest.Same(t, at+"url.scheme", a["url.scheme"], x.down.Scheme())
	proxytest.Same(t, at+"server.address", a["server.address"], webHost)
	proxytest.Same(t, at+"status", a["http.response.status_code"], proxytest.AttributeOf(o.status))
	proxytest.Same(t, at+"is an error", server.Failed(), failed)
	proxytest.Same(t, at+"error.type", a["error.type"] != "", failed)
	proxytest.Same(t, at+"flags", a["hopscope.flags"], o.flags)
	proxytest.Same(t, at+"failure_origin", a["hopscope.failure_origin"], o.origin)
	x.checkSpanTLS(at, a, "", x.down, x.alpn)

	at = o.path + ": its attempt: "
	if len(v.Attempts(server)) != 1 {
		t.Errorf("%sthere is none", at)
		return
	}
	proxytest.Same(t, at+"network.protocol.version", a["hopscope.upstream.protocol_version"], proxytest.Differs(x.up.Number(), x.down.Number()))
	proxytest.Same(t, at+"status", a["hopscope.upstream.status_code"], proxytest.Differs(strconv.Itoa(o.answered), strconv.Itoa(o.status)))
	proxytest.Same(t, at+"flags", a["hopscope.upstream.flags"], proxytest.Differs(o.tried, o.flags))
	x.checkSpanTLS(at, a, "hopscope.upstream.tls.", x.up, x.up.ALPN())
}

// checkSpanTLS looks at the connection of the client, or of the attempt, whose attributes
// have a prefix.
func (x *cross) checkSpanTLS(at string, a map[string]string, prefix string, s proxytest.Side, alpn string) {
	t := x.T
	t.Helper()
	version, next, handshake := prefix+"version", prefix+"next_protocol", prefix+"handshake_ns"
	if prefix == "" {
		version, next, handshake = "tls.protocol.version", "tls.next_protocol", "hopscope.tls.handshake_ns"
	}
	if !s.TLS {
		proxytest.Same(t, at+version, a[version], "")
		return
	}
	proxytest.Same(t, at+version, a[version], "1.3")
	proxytest.Same(t, at+next, a[next], alpn)
	proxytest.Same(t, at+handshake, a[handshake] != "", true)
}

func (x *cross) checkMetrics(v *proxytest.Views) {
	t, m := x.T, v.Metrics
	t.Helper()
	type kind struct{ method, code, flag string }
	hops, tries, origins := map[kind]int{}, map[kind]int{}, map[string]int{}
	timed := 0
	for _, o := range x.want {
		flag, _, _ := strings.Cut(o.flags, ",")
		hops[kind{o.method, strconv.Itoa(o.status), flag}]++
		flag, _, _ = strings.Cut(o.tried, ",")
		tries[kind{"", strconv.Itoa(o.answered), flag}]++
		if o.origin != "" {
			origins[o.origin]++
		}
		if !o.tunnel {
			timed++
		}
	}
	of := []string{"service", "front", "direction", "inbound", "route", "", "cluster", "web"}
	for k, n := range hops {
		proxytest.Same(t, fmt.Sprintf("metrics: hops %v", k), m.Sum("hopscope_requests_total", append(of, "method", k.method, "code", k.code, "flag", k.flag)...), float64(n))
	}
	for k, n := range tries {
		proxytest.Same(t, fmt.Sprintf("metrics: attempts %v", k), m.Sum("hopscope_attempts_total", append(of, "code", k.code, "flag", k.flag)...), float64(n))
	}
	for origin, n := range origins {
		proxytest.Same(t, "metrics: failures of "+origin, m.Sum("hopscope_failures_total", append(of, "origin", origin)...), float64(n))
	}
	in, out, failures := 0.0, 0.0, 0
	for _, l := range v.Lines {
		in, out = in+l.Number("bytes_in"), out+l.Number("bytes_out")
	}
	for _, n := range origins {
		failures += n
	}
	proxytest.Same(t, "metrics: attempts", m.Sum("hopscope_attempts_total"), float64(len(x.want)))
	proxytest.Same(t, "metrics: failures", m.Sum("hopscope_failures_total"), float64(failures))
	proxytest.Same(t, "metrics: bytes in", m.Sum("hopscope_request_bytes_total"), in)
	proxytest.Same(t, "metrics: bytes out", m.Sum("hopscope_response_bytes_total"), out)
	proxytest.Same(t, "metrics: durations of hops", m.Sum("http_server_request_duration_seconds"), float64(timed))
	for _, name := range []string{"hopscope_downstream_requests_active", "hopscope_upstream_requests_pending", "hopscope_telemetry_dropped_total", "hopscope_connection_failures_total"} {
		proxytest.Same(t, "metrics: "+name, m.Sum(name), 0)
	}
}

// expectStatus checks what a response alone says of how the request ended.
func (x *cross) expectStatus(response *http.Response, o outcome) {
	t := x.T
	t.Helper()
	all := proxytest.ProxyStatus(t, response)
	if len(all) == 0 {
		t.Errorf("%s: the response has no Proxy-Status", o.path)
		return
	}
	own := all[len(all)-1]
	proxytest.Same(t, o.path+": Proxy-Status: hop", own.Name, "front")
	proxytest.Same(t, o.path+": Proxy-Status: error", own.Error, o.failure)
}
